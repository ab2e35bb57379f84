//! Ports for peers that are processes of their own, or that start more than once.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use tokio::net::TcpSocket;

/// A port of this machine where nobody listens. It is bound, which keeps it from everybody who asks for a free port;
/// whoever names it may listen there.
pub struct Reserved {
    _socket: TcpSocket,
    address: SocketAddr,
}

impl Reserved {
    /// Any port.
    #[must_use]
    pub fn any() -> Self {
        Self::at(0).expect("a free port")
    }

    /// Two ports in a row.
    #[must_use]
    pub fn pair() -> [Self; 2] {
        loop {
            let first = Self::any();
            let next = first.number().checked_add(1).map(Self::at);
            if let Some(Ok(second)) = next {
                return [first, second];
            }
        }
    }

    fn at(port: u16) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // what listens says the same, and so gets the port
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())?;
        let address = socket.local_addr()?;
        Ok(Self {
            _socket: socket,
            address,
        })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// The address to listen at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
