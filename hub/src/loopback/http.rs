//! As much of HTTP/1.1 as the hub's clients use.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::BufRead;

/// What was asked.
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    pub(super) query: String,
    /// By their names in small letters.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// The next request of a connection; `None` at its end, or where it cannot be understood.
pub(super) fn read(from: &mut impl BufRead) -> Option<Request> {
    let first = line(from)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let line = line(from)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some(Request { method, path, query, headers, body })
}

fn line(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    (from.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
}

/// What is answered.
#[derive(Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Whether the body is the content of a file.
    pub(super) is_content: bool,
}

impl Response {
    pub(super) fn json(value: &serde_json::Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { status: 200, headers, body: value.to_string().into_bytes(), is_content: false }
    }

    /// An error as the hub tells it.
    pub(super) fn error(status: u16, message: &str) -> Self {
        let mut response = Self::json(&serde_json::json!({ "error": message }));
        response.status = status;
        response.headers.push(("X-Error-Message", message.to_owned()));
        response
    }

    /// The status line and the headers.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} .\r\n", self.status);
        for (name, value) in &self.headers {
            // PANIC: writing to a `String` does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "Content-Length: {}\r\n\r\n", self.body.len());
        head.into_bytes()
    }
}
