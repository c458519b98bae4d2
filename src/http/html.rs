//! What is put into pages that are written here.

/// Text as it may stand in HTML, in attributes too.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The beginning of a page, to its body. `styles` are paths; a title is our own text.
pub fn head(title: &str, styles: &[&str]) -> String {
    let links: String = styles.iter().map(|path| format!("<link rel=\"stylesheet\" href=\"{path}\">\n")).collect();
    include_str!("html/head.html").replace("{title}", title).replace("{styles}\n", &links)
}
