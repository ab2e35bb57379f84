//! Configurations that must be refused, and instances that come and go.

use crate::Plugin;
use crate::inputs::LARGE;
use crate::promises::Promises;
use handlers::{Executor, Kind, LoadError};
use serde_json::{Value, json};

/// How many instances come and go.
const ROUNDS: usize = 100;

pub(crate) fn check(plugin: &Plugin, kind: Kind, promises: &mut Promises) {
    for config in [
        json!("garbage"),
        json!(7),
        json!([]),
        json!({ "no such key, surely": 1 }),
        Value::String("x".repeat(LARGE)),
    ] {
        let shown: String = config.to_string().chars().take(40).collect();
        match plugin.load(kind, Executor::Inline, &config) {
            Ok(_) => promises.check(false, format!("refuses the configuration {shown}")),
            Err(errors) => promises.check(
                errors
                    .0
                    .iter()
                    .all(|refusal| matches!(refusal.error, LoadError::Config { .. })),
                format!("calls the configuration {shown} a configuration error: {errors}"),
            ),
        }
    }
    for _ in 0..ROUNDS {
        if let Err(errors) = plugin.load(kind, Executor::Isolated, &plugin.config) {
            promises.check(false, format!("can be constructed {ROUNDS} times: {errors}"));
            return;
        }
    }
}
