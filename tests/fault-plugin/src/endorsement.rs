//! The endorsement plugin's faults.

use plugin_api::{
    Endorsed, Endorsement, HostRef, Init, PluginError, Request, Result, SharedBytes, SigningPeerRef,
};

pub(crate) struct FaultEndorsement {
    mode: String,
    host: HostRef,
}

pub(crate) fn new(init: Init<'_>) -> Result<FaultEndorsement> {
    Ok(FaultEndorsement {
        mode: crate::mode_of(&init)?,
        host: init.host,
    })
}

impl Endorsement for FaultEndorsement {
    #[allow(clippy::panic, reason = "this plugin is there to misbehave")]
    fn endorse(&self, request: &Request, payload: &SharedBytes, peer: &SigningPeerRef) -> Result<Endorsed> {
        // what is measured does nothing else
        if self.mode != "no-op" {
            self.host.counter_add("seen".into(), 1, plugin_api::Pairs::EMPTY);
        }
        let endorser = peer.serialized_identity();
        let signature = peer.sign_parts(&[payload, &endorser])?;
        let good = Endorsed::new(endorser, signature);
        match self.mode.as_str() {
            "panic" => panic!("endorsement fault"),
            "deny" => Err(PluginError::denied(format!("not {}", request.chaincode_name()))),
            "block" => loop {
                std::thread::park();
            },
            "unsigned" => Ok(Endorsed {
                signature: SharedBytes::empty(),
                ..good
            }),
            "oversize" => Ok(Endorsed {
                signature: vec![0; 1 << 20].into(),
                ..good
            }),
            "nobody" => Ok(Endorsed {
                endorser: SharedBytes::from_static(b"\xff"),
                ..good
            }),
            "garbage" => Ok(good.with_payload(SharedBytes::from_static(b"\xff"))),
            "other proposal" => Ok(good.with_payload(SharedBytes::from_static(b"\x0a\x01x"))),
            // a field that nobody knows, after those that are there
            "append" => Ok(good.with_payload([payload.as_slice(), b"\xa0\x06\x01"].concat().into())),
            "state" => {
                let value = peer.state("ns".into(), "key".into()).into_result()?;
                let value = value.into_option().unwrap_or_default();
                Ok(Endorsed {
                    signature: value,
                    ..good
                })
            }
            _ => Ok(good),
        }
    }
}
