//! This plugin keeps the promises of its kind.

use tokio::net::TcpSocket;

#[test]
fn keeps_its_promises_while_its_service_is_down() {
    let library = conformance::library("ext_authz").unwrap();
    // bound and not listening: the port is nobody else's, and connections to it are refused
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let config = serde_json::json!({
        "endpoint": format!("http://127.0.0.1:{port}"),
        "timeoutSeconds": 5,
        "headers": ["authorization"],
        "set": ["user"],
    });
    conformance::check(&library, &config.to_string()).unwrap();
}
