//! A client for the operations server: one request, one connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, without the status line.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Asks and waits for the whole answer. Blocks.
#[must_use]
pub fn ask(server: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(server).expect("the server listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a limit");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: peer\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let (first, head) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status line"),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// The same from a task.
pub async fn get(server: SocketAddr, path: &'static str) -> Answer {
    let asked = tokio::task::spawn_blocking(move || ask(server, "GET", path, ""));
    asked.await.expect("an answer")
}
