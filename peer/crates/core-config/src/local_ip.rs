//! The machine's own address, for `peer.addressAutoDetect`.

use std::{io, net::IpAddr};

/// Why there is no local address.
#[derive(Debug, thiserror::Error)]
pub enum NoLocalIp {
    /// The system does not list its interfaces.
    #[error("cannot list network interfaces")]
    Interfaces(#[source] io::Error),
    /// Every interface is a loopback or has no IPv4 address.
    #[error("no non-loopback, IPv4 interface detected")]
    None,
}

/// The first IPv4 address of the machine that is not a loopback.
pub fn first_local_ip() -> Result<IpAddr, NoLocalIp> {
    let interfaces = if_addrs::get_if_addrs().map_err(NoLocalIp::Interfaces)?;
    let mut addresses = interfaces.iter().map(if_addrs::Interface::ip);
    addresses
        .find(|ip| ip.is_ipv4() && !ip.is_loopback())
        .ok_or(NoLocalIp::None)
}
