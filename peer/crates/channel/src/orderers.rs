//! Where a channel's configuration says its orderers are.

use channelconfig::Bundle;
use deliver::client::OrdererEndpoint;

/// The endpoints with the TLS roots of their organisations; addresses of the whole channel trust all roots.
#[must_use]
pub fn orderer_endpoints(bundle: &Bundle) -> Vec<OrdererEndpoint> {
    let endpoints = bundle.orderer_endpoints().into_iter();
    endpoints
        .map(|(address, organization)| OrdererEndpoint {
            address,
            tls_roots: match organization {
                Some(organization) => {
                    let msp = &organization.msp;
                    msp.tls_root_certs()
                        .iter()
                        .chain(msp.tls_intermediate_certs())
                        .cloned()
                        .collect()
                }
                None => bundle.tls_root_certs(),
            },
        })
        .collect()
}
