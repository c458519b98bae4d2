//! axe-core: whether a page can be used by everybody. It comes from npm when the tests run, and is kept beside the build.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

use crate::driver::Browser;

const VERSION: &str = "4.10.3";

fn source() -> &'static str {
    static SOURCE: OnceLock<String> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("axe-{VERSION}"));
        let file = folder.join("node_modules/axe-core/axe.min.js");
        if !file.exists() {
            fs::create_dir_all(&folder).unwrap();
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(&folder);
            let done = npm.arg(format!("axe-core@{VERSION}")).stdout(Stdio::null()).status();
            let fetched = done.is_ok_and(|status| status.success());
            assert!(
                fetched,
                "npm could not fetch axe-core; apt-get install -y npm, or put axe-core {VERSION} at {}",
                file.display()
            );
        }
        fs::read_to_string(&file).unwrap()
    })
}

/// What in the page as it is shown keeps people out: WCAG 2.2 A and AA, and good practice.
pub fn violations(browser: &Browser) -> Vec<String> {
    browser.script(&format!("if (!window.axe) {{ {} }}", source()));
    let found = browser.script_later(
        "const done = arguments[arguments.length - 1]; window.axe.run(document).then((r) => done(r.violations), (e) => done(String(e)));",
    );
    let list = found.as_array().unwrap_or_else(|| panic!("axe failed: {found}"));
    let told = |violation: &Value| {
        let nodes = violation["nodes"].as_array().unwrap().iter();
        let nodes: Vec<String> = nodes.take(4).map(|n| format!("{} {}", n["html"], n["failureSummary"])).collect();
        format!("{}: {} {nodes:#?}", violation["id"], violation["help"])
    };
    list.iter().map(told).collect()
}
