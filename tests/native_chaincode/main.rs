//! Chaincode that is a program and nothing else: the scripted shim, started as a platform's plan says.

#![expect(
    clippy::disallowed_methods,
    reason = "a peer speaks to its chaincode through the environment"
)]

use anyhow::{Context, Result};
use integration::shim::Shim;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--peer.address");
    let address = arguments.nth(1).context("no --peer.address")?;
    let id = std::env::var("CORE_CHAINCODE_ID_NAME").context("no CORE_CHAINCODE_ID_NAME")?;
    Shim::connect(&address, &id).await?.closed().await;
    Ok(())
}
