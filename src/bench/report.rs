//! What every benchmark says beside its figures, and what it runs against.

use std::{path::PathBuf, time::Instant};

use serde::Serialize;

use crate::config::Config;

/// The machine and the versions.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processor, as the kernel names it.
    pub cpu: String,
    /// Logical cores.
    pub cores: usize,
    /// Memory, GiB.
    pub memory_gib: u64,
    /// Kernel.
    pub kernel: String,
}

impl Machine {
    /// Reads it off `/proc`.
    pub fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            let line = text.lines().find(|l| l.starts_with(key)).unwrap_or_default();
            line.split(':').nth(1).unwrap_or_default().trim().to_owned()
        };
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
        Self {
            cpu: after(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// What a benchmark runs against.
#[derive(Debug, Clone, Serialize)]
pub struct Target {
    /// The binary to start as the server; this one, usually.
    #[serde(skip)]
    pub binary: PathBuf,
    /// KuaiRand's folder.
    #[serde(skip)]
    pub dataset: PathBuf,
    /// What the server is configured with; prepared data folders are kept between runs below its `data.dir`.
    #[serde(skip)]
    pub config: Config,
    /// Videos in the catalogue: the bundled ones and as many made up after them as it takes.
    pub videos: usize,
}

/// The head of every report.
#[derive(Debug, Clone, Serialize)]
pub struct Head {
    /// The benchmark.
    pub name: &'static str,
    /// Where it ran.
    pub machine: Machine,
    /// What ran.
    pub versions: Versions,
    /// How long it took in all, preparation included.
    pub seconds: f64,
}

impl Head {
    /// The head of a report on what `began` then.
    pub fn new(name: &'static str, began: Instant, onnxruntime: Option<String>) -> Self {
        let versions = Versions { foryou: env!("CARGO_PKG_VERSION"), onnxruntime };
        Self { name, machine: Machine::here(), versions, seconds: began.elapsed().as_secs_f64() }
    }
}

/// Versions of what ran.
#[derive(Debug, Clone, Serialize)]
pub struct Versions {
    /// This crate.
    pub foryou: &'static str,
    /// ONNX Runtime, by the name of the library that the server loaded; none where it loaded none.
    pub onnxruntime: Option<String>,
}
