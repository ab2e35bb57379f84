//! The validation plugin's faults.

use plugin_api::{HostRef, Init, PluginError, Result, Validation, ValidationAction, Verdict};

pub(crate) struct FaultValidation {
    mode: String,
    host: HostRef,
}

pub(crate) fn new(init: Init<'_>) -> Result<FaultValidation> {
    Ok(FaultValidation {
        mode: crate::mode_of(&init)?,
        host: init.host,
    })
}

impl Validation for FaultValidation {
    #[allow(clippy::panic, reason = "this plugin is there to misbehave")]
    fn validate(&self, action: &ValidationAction<'_>) -> Result<Verdict> {
        // what is measured does nothing else
        if self.mode != "no-op" {
            self.host.counter_add("seen".into(), 1, plugin_api::Pairs::EMPTY);
        }
        match self.mode.as_str() {
            "panic" => panic!("validation fault"),
            "deny" => Err(PluginError::unknown("licence server is away")),
            "block" => loop {
                std::thread::park();
            },
            "refuse" => Ok(Verdict::Invalid(format!("no {} today", action.namespace()))),
            "state" => {
                let value = action.state("ns", "key")?;
                Ok(Verdict::Invalid(format!("{:?}", value.as_deref())))
            }
            "policy" => Ok(match action.evaluate(action.policy(), &action.endorsements())? {
                Ok(()) => Verdict::Valid,
                Err(reason) => Verdict::Invalid(reason),
            }),
            _ => Ok(Verdict::Valid),
        }
    }
}
