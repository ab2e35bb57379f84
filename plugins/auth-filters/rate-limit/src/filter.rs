//! The filter itself.

use crate::rule::Rule;
use plugin_api::{Code, Filter, Flow, HostRef, PluginError, Request, Result, count, proposal};
use std::time::Duration;

/// Refuses what comes too often.
pub(crate) struct RateLimit {
    rules: Vec<Rule>,
    wants_function: bool,
    host: HostRef,
}

impl RateLimit {
    pub(crate) fn new(rules: Vec<Rule>, host: HostRef) -> Self {
        Self {
            wants_function: rules.iter().any(Rule::wants_function),
            rules,
            host,
        }
    }
}

impl Filter for RateLimit {
    type State = ();

    async fn before(&self, request: &Request) -> Result<Flow<()>> {
        // what cannot be decoded calls nothing: the endorser refuses it, after the rules that are not about functions
        let call = self
            .wants_function
            .then(|| proposal::call(request.proposal_bytes()).ok())
            .flatten();
        let function = call.as_ref().map_or(&[][..], |call| call.function());
        for rule in &self.rules {
            if let Err(wait) = rule.admit(request, function) {
                count(&self.host, "limited", 1, &[("rule", &rule.name)]);
                return Err(refusal(&rule.name, wait));
            }
        }
        Ok(Flow::Continue)
    }
}

/// The text for the client; waiting times in tenths of a second, rounded up.
fn refusal(rule: &str, wait: Duration) -> PluginError {
    let tenths = wait.as_millis().div_ceil(100).max(1);
    PluginError::new(
        Code::RESOURCE_EXHAUSTED,
        format!(
            "too many proposals (limit {rule:?}): retry after {}.{} s",
            tenths / 10,
            tenths % 10
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_are_rounded_up() {
        for (millis, text) in [(0, "0.1 s"), (1, "0.1 s"), (1200, "1.2 s"), (1201, "1.3 s")] {
            let error = refusal("per-client", Duration::from_millis(millis));
            assert_eq!(error.code, Code::RESOURCE_EXHAUSTED);
            assert_eq!(
                error.message.as_str(),
                format!("too many proposals (limit \"per-client\"): retry after {text}")
            );
        }
    }
}
