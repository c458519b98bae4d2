//! Equal ONNX sessions, one per worker thread: `Session::run` needs `&mut`, and nobody should queue for it.

use std::{
    cell::Cell,
    sync::atomic::{AtomicUsize, Ordering},
};

use ort::{
    environment::Environment,
    session::{Session, SessionInputValue},
    value::TensorElementType,
};
use parking_lot::Mutex;

use super::{ModelError, runtime};

/// A pool of equal sessions of one model.
pub(super) struct Sessions {
    model: &'static str,
    slots: Box<[Mutex<Session>]>,
    outputs: Vec<String>,
}

/// An input or output as the file declares it: name, element type, and shape with −1 for free dimensions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Port {
    pub name: String,
    pub element: TensorElementType,
    pub shape: Vec<i64>,
}

impl Sessions {
    /// Loads `count` sessions.
    pub fn new(environment: &Environment, model: &'static str, bytes: &[u8], count: usize) -> Result<Self, ModelError> {
        let slots = (0..count.max(1)).map(|_| runtime::session(environment, bytes).map(Mutex::new));
        let slots = slots.collect::<ort::Result<Box<[_]>>>().map_err(ModelError::inference(model))?;
        let outputs = slots[0].lock().outputs().iter().map(|o| o.name().to_owned()).collect();
        Ok(Self { model, slots, outputs })
    }

    /// Inputs, then outputs.
    pub fn ports(&self) -> (Vec<Port>, Vec<Port>) {
        let session = self.slots[0].lock();
        let port = |outlet: &ort::value::Outlet| Port {
            name: outlet.name().to_owned(),
            element: outlet.dtype().tensor_type().unwrap_or(TensorElementType::Undefined),
            shape: outlet.dtype().tensor_shape().map(|s| s.to_vec()).unwrap_or_default(),
        };
        (session.inputs().iter().map(port).collect(), session.outputs().iter().map(port).collect())
    }

    /// Whether the model has an output of this name.
    pub fn has_output(&self, name: &str) -> bool {
        self.outputs.iter().any(|o| o == name)
    }

    /// Runs a session of this thread's choice; `read` takes what it needs from the outputs.
    pub fn run<const N: usize, R>(
        &self,
        inputs: [SessionInputValue<'_>; N],
        read: impl FnOnce(&ort::session::SessionOutputs<'_>) -> ort::Result<R>,
    ) -> Result<R, ModelError> {
        let home = thread_number() % self.slots.len();
        // The own slot is nearly always free: there are as many slots as workers.
        let free = (0..self.slots.len()).find_map(|i| self.slots[(home + i) % self.slots.len()].try_lock());
        let mut session = free.unwrap_or_else(|| self.slots[home].lock());
        let outputs = session.run(inputs).map_err(ModelError::inference(self.model))?;
        read(&outputs).map_err(ModelError::inference(self.model))
    }
}

/// A small number that is this thread's own.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    NUMBER.with(Cell::get)
}
