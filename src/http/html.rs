//! What is put into pages that are written here.

/// Text as it may stand in HTML, in attributes too.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
