//! The address of this peer for others, and the one for its chaincode.

use std::net::IpAddr;

use crate::{NoLocalIp, PeerConfig};

const CHAINCODE_PORT: u16 = 7052;

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// `peer.address` is empty.
    #[error("peer.address isn't set")]
    NoPeerAddress,
    /// `peer.address` has no port, or no clear one.
    #[error("peer.address isn't in host:port format: {0}")]
    PeerAddress(String),
    /// The address of the machine is needed and cannot be found.
    #[error("local IP address not auto-detectable")]
    NotDetected(#[source] NoLocalIp),
    /// An address without a port, or without a clear one.
    #[error("address {address}: {problem}")]
    NotHostPort {
        /// The address.
        address: String,
        /// Go's words.
        problem: &'static str,
    },
    /// Chaincode would have to connect to 0.0.0.0.
    #[error("invalid endpoint for chaincode to connect")]
    NoChaincodeEndpoint,
}

/// Where chaincode registers.
#[derive(Debug)]
pub struct ChaincodeEndpoint {
    /// The address to listen on.
    pub listen: String,
    /// The address that chaincode is given.
    pub connect: String,
    /// In dev mode: why `connect` is only 0.0.0.0:7052, worth a warning.
    pub fallback: Option<AddressError>,
}

impl PeerConfig {
    /// `address`, with the host replaced by `local_ip` where it is unspecified or auto-detection is on.
    pub fn effective_address(
        &self,
        local_ip: impl FnOnce() -> Result<IpAddr, NoLocalIp>,
    ) -> Result<String, AddressError> {
        if self.address.is_empty() {
            return Err(AddressError::NoPeerAddress);
        }
        let Ok((host, port)) = split_host_port(&self.address) else {
            return Err(AddressError::PeerAddress(self.address.clone()));
        };
        if !is_unspecified(host) && !self.address_auto_detect {
            return Ok(self.address.clone());
        }
        let ip = local_ip().map_err(AddressError::NotDetected)?;
        Ok(join_host_port(&ip.to_string(), port))
    }

    /// Where chaincode registers; `effective_address` is the result of [`PeerConfig::effective_address`].
    pub fn chaincode_endpoint(
        &self,
        effective_address: &str,
        dev_mode: bool,
    ) -> Result<ChaincodeEndpoint, AddressError> {
        let (peer_host, _) = split_host_port(effective_address)?;
        let default_port = CHAINCODE_PORT.to_string();
        let stated = self.chaincode_listen_address.clone();
        let listen = stated.unwrap_or_else(|| join_host_port(peer_host, &default_port));
        let (connect, fallback) = match self.connect_address(peer_host, &default_port) {
            Ok(connect) => (connect, None),
            Err(error) if dev_mode => (join_host_port("0.0.0.0", &default_port), Some(error)),
            Err(error) => return Err(error),
        };
        Ok(ChaincodeEndpoint {
            listen,
            connect,
            fallback,
        })
    }

    fn connect_address(&self, peer_host: &str, default_port: &str) -> Result<String, AddressError> {
        if let Some(stated) = &self.chaincode_address {
            let (host, _) = split_host_port(stated)?;
            return if is_unspecified(host) {
                Err(AddressError::NoChaincodeEndpoint)
            } else {
                Ok(stated.clone())
            };
        }
        let port = match &self.chaincode_listen_address {
            Some(listen) => match split_host_port(listen)? {
                (host, port) if is_unspecified(host) => port,
                _ => return Ok(listen.clone()),
            },
            None => default_port,
        };
        if is_unspecified(peer_host) {
            return Err(AddressError::NoChaincodeEndpoint);
        }
        Ok(join_host_port(peer_host, port))
    }
}

fn is_unspecified(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

fn join_host_port(host: &str, port: &str) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Go's `net.SplitHostPort`: `host:port` or `[host]:port`.
pub fn split_host_port(address: &str) -> Result<(&str, &str), AddressError> {
    let wrong = |problem| AddressError::NotHostPort {
        address: address.to_owned(),
        problem,
    };
    if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest
            .split_once(']')
            .ok_or_else(|| wrong("missing ']' in address"))?;
        return match after.strip_prefix(':') {
            Some(port) if !port.contains(':') => Ok((host, port)),
            Some(_) => Err(wrong("too many colons in address")),
            None => Err(wrong("missing port in address")),
        };
    }
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| wrong("missing port in address"))?;
    if host.contains(':') {
        return Err(wrong("too many colons in address"));
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests;
