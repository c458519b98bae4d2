//! What is put into pages that are written here.

/// Text as it may stand in HTML, in attributes too.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What a page says before its body.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Our own text.
    pub title: &'static str,
    /// Paths.
    pub styles: &'static [&'static str],
    /// The path of its module, where it has one.
    pub script: Option<&'static str>,
    /// Whether it takes the whole screen of a phone, to its round corners.
    pub covers: bool,
}

impl Head {
    /// The beginning of the page, to its body.
    pub fn html(&self) -> String {
        let mut links: String =
            self.styles.iter().map(|path| format!("<link rel=\"stylesheet\" href=\"{path}\">\n")).collect();
        if let Some(path) = self.script {
            links += &format!("<script type=\"module\" src=\"{path}\"></script>\n");
        }
        let (cover, colour) = match self.covers {
            true => (", viewport-fit=cover", "<meta name=\"theme-color\" content=\"#0f1216\">\n"),
            false => ("", ""),
        };
        include_str!("html/head.html")
            .replace("{cover}", cover)
            .replace("{colour}\n", colour)
            .replace("{title}", self.title)
            .replace("{links}\n", &links)
    }
}
