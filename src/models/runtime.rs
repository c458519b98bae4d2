//! ONNX Runtime: found once per process.

use std::path::Path;

use ort::{
    environment::Environment,
    session::{Session, builder::GraphOptimizationLevel},
};
use parking_lot::Mutex;

use super::ModelError;

/// What is asked for when nothing names a file: the dynamic linker looks for it.
const DEFAULT_LIBRARY: &str = "libonnxruntime.so";

static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// Loads ONNX Runtime from `library`, else from `ORT_DYLIB_PATH`, else from where the dynamic linker finds it. The first
/// success counts for the whole process; later calls do nothing.
pub fn init(library: Option<&Path>) -> Result<(), ModelError> {
    environment_from(library).map(drop)
}

pub(super) fn environment() -> Result<Environment, ModelError> {
    environment_from(None)
}

fn environment_from(library: Option<&Path>) -> Result<Environment, ModelError> {
    let mut slot = ENVIRONMENT.lock();
    if let Some(environment) = &*slot {
        return Ok(environment.clone());
    }
    let named = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    let path = library.map(Path::to_owned).or(named.map(Into::into)).unwrap_or_else(|| DEFAULT_LIBRARY.into());
    let builder = ort::init_from(&path).map_err(|e| ModelError::Runtime { reason: e.to_string() })?;
    let environment = builder
        .with_name("foryou")
        .with_telemetry(false)
        .build()
        .map_err(|e| ModelError::Runtime { reason: e.to_string() })?;
    *slot = Some(environment.clone());
    Ok(environment)
}

/// A session that runs in the thread that calls it.
pub(super) fn session(environment: &Environment, model: &[u8]) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_optimization_level(GraphOptimizationLevel::Level3)?
        // Shapes differ from request to request: a remembered memory plan never fits.
        .with_memory_pattern(false)?
        .commit_from_memory(model)
}
