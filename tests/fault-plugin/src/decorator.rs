//! The decorator's faults.

use plugin_api::{Decorator, Editor, Init, PluginError, Request, Result};
use std::time::Duration;

pub(crate) struct FaultDecorator {
    mode: String,
    instance: String,
}

pub(crate) fn new(init: Init<'_>) -> Result<FaultDecorator> {
    Ok(FaultDecorator {
        mode: crate::mode_of(&init)?,
        instance: init.instance.as_str().to_owned(),
    })
}

impl Decorator for FaultDecorator {
    #[allow(clippy::panic, reason = "this plugin is there to misbehave")]
    fn decorate(&self, _request: &Request, input: &mut Editor<'_>) -> Result<()> {
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
            // not for ever: the test's runtime waits for its blocking threads
            "block" => {
                std::thread::park_timeout(Duration::from_millis(300));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
