//! Commands for the plugins of a running peer. What it answers is printed as it is with `--output json`.

use anyhow::{Context as _, Result};
use protos::plugin_admin::plugin_request::Request as Operation;
use protos::plugin_admin::{ExplainPlugins, ListPlugins, ReloadPlugins};
use serde_json::Value;

use crate::cli::context::Context;
use crate::cli::progress::during;
use crate::cli::{PeerArgs, QuestionArgs, output};
use crate::client::plugin_admin;

async fn ask(context: &Context, operation: Operation) -> Result<Value> {
    let identity = context.identity()?;
    let peer = context.peer(&PeerArgs::default(), "", "plugin").await?;
    let answer = plugin_admin::call(&peer, operation, identity.signer()).await?;
    serde_json::from_slice(&answer).context("the peer's answer is not JSON")
}

/// `peer plugin reload`
pub(super) async fn reload(context: &Context) -> Result<()> {
    let reloading = ask(context, Operation::Reload(ReloadPlugins {}));
    let answer = during("reloading the plugins", reloading).await?;
    output::result(context.output, &answer, |answer| {
        let rows: Vec<_> = list_of(answer, "changes").map(changed).collect();
        let table = output::table(&["", "KIND", "NAME", "FROM", "TO"], &rows);
        format!("{table}\nset {} is in force", text(answer, "generation"))
    })
}

fn changed(change: &Value) -> Vec<String> {
    let side = |key: &str| change.get(key).map(version).unwrap_or_default();
    vec![
        text(change, "what"),
        text(change, "kind"),
        text(change, "instance"),
        side("from"),
        side("to"),
    ]
}

/// Version and the beginning of the digest, which tells two builds of one version apart.
fn version(plugin: &Value) -> String {
    let digest: String = text(plugin, "sha256").chars().take(8).collect();
    format!("{} ({digest})", text(plugin, "version"))
}

/// `peer plugin list --running`
pub(super) async fn list(context: &Context) -> Result<()> {
    let answer = ask(context, Operation::List(ListPlugins {})).await?;
    output::result(context.output, &answer, |answer| {
        let rows: Vec<_> = list_of(answer, "plugins").map(running).collect();
        let header = [
            "KIND", "NAME", "PLUGIN", "DIGEST", "CALLS", "DENIED", "ERRORS", "PANICS", "TIMEOUTS", "REFUSED",
            "MEAN", "P99", "STATE",
        ];
        let table = output::table(&header, &rows);
        format!("{table}\nset {} is in force", text(answer, "generation"))
    })
}

fn running(plugin: &Value) -> Vec<String> {
    let all: Vec<&Value> = list_of(plugin, "stats").collect();
    let sum = |key: &str| {
        let counts = all.iter().filter_map(|stats| stats.get(key)?.as_u64());
        counts.sum::<u64>()
    };
    vec![
        text(plugin, "kind"),
        text(plugin, "instance"),
        format!("{} {}", text(plugin, "plugin"), text(plugin, "version")),
        text(plugin, "sha256").chars().take(8).collect(),
        sum("calls").to_string(),
        sum("denials").to_string(),
        sum("errors").to_string(),
        sum("panics").to_string(),
        sum("timeouts").to_string(),
        sum("refused").to_string(),
        mean(&all),
        percentile(&all),
        state(plugin, &all),
    ]
}

/// The mean duration of a call.
fn mean(stats: &[&Value]) -> String {
    let of_calls = |key: &str| {
        let values = stats
            .iter()
            .filter_map(|stats| stats.get("call")?.get(key)?.as_f64());
        values.sum::<f64>()
    };
    let count = of_calls("count");
    if count == 0.0 {
        return "-".to_owned();
    }
    duration(of_calls("sum") / count)
}

/// The bound of the bucket that 99 of 100 calls are not above, of the instance with the slowest.
fn percentile(stats: &[&Value]) -> String {
    let bound = |stats: &Value| {
        let call = stats.get("call")?;
        let wanted = call.get("count")?.as_f64()? * 0.99;
        let mut buckets = list_of(call, "buckets");
        let reached = buckets.find(|bucket| {
            let count = bucket.get("count").and_then(Value::as_f64);
            count.is_some_and(|count| count >= wanted && count > 0.0)
        });
        // a last bucket without a bound holds what is above all of them
        let bound = reached.and_then(|bucket| bucket.get("le")?.as_f64());
        (wanted > 0.0).then_some(bound.unwrap_or(f64::INFINITY))
    };
    match stats.iter().filter_map(|stats| bound(stats)).reduce(f64::max) {
        None => "-".to_owned(),
        Some(bound) if bound.is_infinite() => "more".to_owned(),
        Some(bound) => format!("≤{}", duration(bound)),
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 1e-3 {
        format!("{:.1}µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1}ms", seconds * 1e3)
    } else {
        format!("{seconds:.1}s")
    }
}

fn state(plugin: &Value, stats: &[&Value]) -> String {
    let is = |key: &str| {
        let mut flags = stats.iter().filter_map(|stats| stats.get(key)?.as_bool());
        flags.any(|flag| flag)
    };
    if is("failed") {
        "given up".to_owned()
    } else if is("breakerOpen") {
        "quarantine".to_owned()
    } else if text(plugin, "mode") == "shadow" {
        "shadow".to_owned()
    } else {
        "ok".to_owned()
    }
}

/// `peer plugin explain --running`
pub(super) async fn explain(context: &Context, question: &QuestionArgs) -> Result<()> {
    let asked = ExplainPlugins {
        channel: question.channel.clone(),
        chaincode: question.chaincode.clone(),
        function: question.function.clone(),
        mspid: question.mspid.clone(),
    };
    let answer = ask(context, Operation::Explain(asked)).await?;
    print_explained(context, &answer)
}

/// Prints the chain for a proposal, in its order.
pub(super) fn print_explained(context: &Context, explained: &Value) -> Result<()> {
    output::result(context.output, explained, |explained| {
        let plugins: Vec<&Value> = explained.as_array().into_iter().flatten().collect();
        let rows: Vec<_> = plugins
            .iter()
            .enumerate()
            .map(|(at, plugin)| {
                let condition = text(plugin, "match");
                vec![
                    (at + 1).to_string(),
                    text(plugin, "applies"),
                    text(plugin, "kind"),
                    text(plugin, "instance"),
                    text(plugin, "mode"),
                    if condition.is_empty() {
                        "everything".to_owned()
                    } else {
                        condition
                    },
                    text(plugin, "configPath"),
                ]
            })
            .collect();
        output::table(&["", "APPLIES", "KIND", "NAME", "MODE", "MATCH", "ENTRY"], &rows)
    })
}

fn list_of<'a>(document: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    document.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text(document: &Value, key: &str) -> String {
    match document.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations_of_calls_are_read_from_what_was_counted() {
        let buckets = json!([
            {"le": 1e-6, "count": 0}, {"le": 1e-5, "count": 98}, {"le": 0.01, "count": 100},
        ]);
        let stats = json!({"call": {"count": 100, "sum": 0.002, "buckets": buckets}});
        assert_eq!(mean(&[&stats]), "20.0µs");
        assert_eq!(percentile(&[&stats]), "≤10.0ms");
        let slow = json!({"call": {"count": 1, "sum": 9.0, "buckets": [{"le": 1.0, "count": 0}]}});
        assert_eq!(mean(&[&slow]), "9.0s");
        assert_eq!(percentile(&[&slow]), "more");
        let idle = json!({"call": {"count": 0, "sum": 0.0, "buckets": []}});
        assert_eq!(
            (mean(&[&idle]), percentile(&[&idle])),
            ("-".to_owned(), "-".to_owned())
        );
    }
}
