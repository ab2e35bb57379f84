//! What becomes of clients that say nothing, and of a listener that cannot accept.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt as _;
use tokio_stream::StreamExt as _;

use super::*;

const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more";

async fn listening() -> (Connections<TcpStream>, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    match Incoming::new(listener, Security::Plain) {
        Incoming::Plain(connections) => (connections, address),
        Incoming::Tls(_) => unreachable!(),
    }
}

#[tokio::test]
async fn what_the_client_has_said_is_read_again_and_sent_without_delay() {
    let (mut connections, address) = listening().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(HELLO).await.unwrap();
    client.shutdown().await.unwrap();
    let mut connection = connections.next().await.unwrap().unwrap();
    assert!(connection.io.nodelay().unwrap());
    assert_eq!(connection.connect_info().remote_addr(), client.local_addr().ok());
    let mut said = Vec::new();
    connection.read_to_end(&mut said).await.unwrap();
    assert_eq!(said, HELLO);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_begin_is_hung_up_on() {
    for words in [0, 1, PREFACE - 1] {
        let (connections, address) = listening().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(&HELLO[..words]).await.unwrap();
        let mut heard = Vec::new();
        client.read_to_end(&mut heard).await.ok();
        assert!(heard.is_empty());
        drop(connections);
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_cannot_accept_waits_before_it_tries_again() {
    let tried = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tried);
    let accept = move || {
        count.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Err(io::Error::from_raw_os_error(24)))
    };
    let (opened, connections) = mpsc::channel::<io::Result<Opened<TcpStream>>>(1);
    let accepting = tokio::spawn(accept_all(accept, Opened::begun, opened));
    tokio::time::advance(Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let tried = tried.load(Ordering::Relaxed);
    assert!((2..=6).contains(&tried), "{tried}");
    drop(connections);
    accepting.await.unwrap();
}
