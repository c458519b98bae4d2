//! A small world with clear tastes, and models trained on it.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use foryou::{
    import::{self, Source},
    models::Releases,
    stores::embedded::EmbeddedStore,
    training::train,
};
use foryou_schemas::Timestamp;
use tempfile::TempDir;

pub const CATEGORIES: u32 = 4;
const VIDEOS: u32 = 320;
const PEOPLE: u32 = 100;
const CREATORS: u32 = 32;
const STEPS: u32 = 24;
const STEP_MS: i64 = 4 * 3_600_000;

/// The data folder of a server whose models are trained and not active. Made once for the tests that run together.
pub struct World {
    dir: TempDir,
    pub release: String,
}

impl World {
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let world = Arc::new(Self::train());
            *shared = Arc::downgrade(&world);
            world
        })
    }

    /// A copy of the folder, its release not active.
    pub fn inactive(&self) -> TempDir {
        let copy = TempDir::new().unwrap();
        copy_dir(self.dir.path(), copy.path());
        copy
    }

    /// A copy of the folder, its release active.
    pub fn active(&self) -> TempDir {
        let copy = self.inactive();
        Releases::new(copy.path()).activate(&self.release).unwrap();
        copy
    }

    fn train() -> Self {
        let dir = TempDir::new().unwrap();
        let log = dir.path().join("world.jsonl");
        let now = Timestamp::now();
        fs::write(&log, lines(now)).unwrap();
        let settings = train::Settings { quick: true, threads: 2, activate: false, ..train::Settings::default() };
        let release = tokio::runtime::Runtime::new().unwrap().block_on(async {
            let store = EmbeddedStore::open(&dir.path().join("store")).unwrap();
            import::run(Source::Jsonl(vec![log]), &store, now, Duration::ZERO).await.unwrap();
            train::run(&store, dir.path(), None, settings, Default::default()).await.unwrap().release
        });
        Self { dir, release }
    }
}

/// Person `n` mostly meets videos of category `n % 4`, watches them to their end, likes some, and skips the others.
pub fn lines(now: Timestamp) -> String {
    let mut lines = String::new();
    for v in 0..VIDEOS {
        let (category, creator) = (v % CATEGORIES, v % CREATORS);
        lines += &format!(
            "{{\"id\":\"v{v}\",\"creator\":\"c{creator}\",\"category\":\"k{category}\",\"duration_ms\":9000}}\n"
        );
    }
    for step in 0..STEPS {
        for user in 0..PEOPLE {
            let some = (user * 7 + step * 11 + step * step) % VIDEOS;
            let taste = user % CATEGORIES;
            let video = if step % 4 == 0 { some } else { some / CATEGORIES * CATEGORIES + taste };
            let enjoyed = video % CATEGORIES == taste;
            let at = now.plus_millis(i64::from(user) * 1_000 - i64::from(STEPS - step) * STEP_MS);
            let head = format!("\"user\":\"u{user}\",\"video\":\"v{video}\",\"surface\":\"for_you\"");
            let watch_ms = if enjoyed { 9_000 } else { 400 };
            lines += &format!("{{{head},\"kind\":\"view\",\"watch_ms\":{watch_ms},\"at\":\"{at}\"}}\n");
            if enjoyed && (user + step) % 3 == 0 {
                lines += &format!("{{{head},\"kind\":\"like\",\"at\":\"{}\"}}\n", at.plus_millis(9_000));
            }
        }
    }
    lines
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => _ = fs::copy(entry.path(), target).unwrap(),
        }
    }
}
