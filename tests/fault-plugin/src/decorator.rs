//! The decorator's faults.

use plugin_api::{Decorator, Editor, HostRef, Init, PluginError, Request, Result};

pub(crate) struct FaultDecorator {
    mode: String,
    instance: String,
    host: HostRef,
}

pub(crate) fn new(init: Init<'_>) -> Result<FaultDecorator> {
    Ok(FaultDecorator {
        mode: crate::mode_of(&init)?,
        instance: init.instance.as_str().to_owned(),
        host: init.host,
    })
}

impl Decorator for FaultDecorator {
    #[allow(clippy::panic, reason = "this plugin is there to misbehave")]
    fn decorate(&self, request: &Request, input: &mut Editor<'_>) -> Result<()> {
        self.host.counter_add("seen".into(), 1, plugin_api::Pairs::EMPTY);
        if self.mode == "tell" {
            return tell(request, input);
        }
        let marked = format!(
            "{}{}",
            String::from_utf8_lossy(input.arg(0).as_slice()),
            self.instance
        );
        input.set_arg(0, marked.into_bytes().into());
        input.set_decoration(self.instance.as_str().into(), b"1".to_vec().into());
        match self.mode.as_str() {
            "panic" => panic!("fault of {}", self.instance),
            "deny" => Err(PluginError::denied(format!("denied by {}", self.instance))),
            "set nothing" => {
                input.set_arg(1000, Vec::new().into());
                Ok(())
            }
            "block" => loop {
                std::thread::park();
            },
            _ => Ok(()),
        }
    }
}

/// Lets everything pass but the function `tell`, whose caller learns what decorators see.
fn tell(request: &Request, input: &mut Editor<'_>) -> Result<()> {
    if input.arg(0).as_slice() != b"tell" {
        return Ok(());
    }
    let host = request
        .remote_addr()
        .as_str()
        .split(':')
        .next()
        .unwrap_or_default();
    let certificate = request.attr("tls.peer-cert".into()).into_option();
    let certificate = certificate.map(|der| der.iter().take(2).copied().collect::<Vec<u8>>());
    Err(PluginError::denied(format!(
        "{} at {host} with {} for {}, TLS {certificate:?}",
        request.msp_id(),
        String::from_utf8_lossy(request.creator_cert().as_slice())
            .lines()
            .next()
            .unwrap_or_default(),
        request.chaincode_name(),
    )))
}
