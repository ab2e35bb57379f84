//! This plugin keeps the promises of its kind.

use std::net::TcpListener;

#[test]
fn keeps_its_promises_while_its_service_is_down() {
    let library = conformance::library("ext_authz").unwrap();
    // taken and not answered: the port is nobody else's, and connections to it are refused
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = serde_json::json!({
        "endpoint": format!("http://127.0.0.1:{port}"),
        "timeoutSeconds": 5,
        "headers": ["authorization"],
        "set": ["user"],
    });
    conformance::check(&library, &config.to_string()).unwrap();
}
