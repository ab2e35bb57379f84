//! What an operator sees of plugin calls: counts by hook and result, times, spans.

use crate::harness::{auth, decorators, filter, load, metric};
use bytes::Bytes;
use handlers::{Hook, MetricValue, ParsedRequest, PluginStats, Registry};
use protos::peer::ChaincodeInput;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

async fn once(registry: &Registry) {
    let request = Arc::new(ParsedRequest::default());
    let chain = registry.auth_chain();
    let outcome = chain.run(request, || async { Ok(Bytes::new()) });
    // whether it was let through shows in the numbers
    drop(outcome.await);
}

/// Calls of a hook with this result.
fn calls(stats: &PluginStats, hook: Hook, result: &str) -> u64 {
    let of = stats.hooks.iter().find(|of| of.hook == hook).unwrap();
    of.results[result]
}

#[tokio::test]
async fn a_refusal_is_no_error_and_handing_it_on_is_neither() {
    let registry = auth(json!([
        filter("outer", "hand on"),
        filter("marks", "mark"),
        filter("denies", "deny")
    ]));
    once(&registry).await;
    let stats = registry.stats();
    for (index, denials) in [(0, 0), (1, 0), (2, 1)] {
        let stats = &stats[index];
        assert_eq!((stats.denials, stats.errors), (denials, 0), "{}", stats.instance);
    }
    assert_eq!(calls(&stats[2], Hook::Before, "denied"), 1);
    assert_eq!(calls(&stats[1], Hook::After, "ok"), 1, "it only marked the text");
    assert_eq!((stats[2].call.count, stats[1].call.count), (1, 2));
    let odd = auth(json!([filter("odd", "odd code")]));
    once(&odd).await;
    let stats = odd.stats().remove(0);
    assert_eq!((stats.denials, stats.errors), (0, 1), "a code that nobody knows");
}

#[tokio::test]
async fn a_decorators_refusal_is_counted_as_one() {
    let registry = decorators(json!([filter("strict", "deny")]));
    let input = ChaincodeInput {
        args: vec![Bytes::from("f")],
        ..ChaincodeInput::default()
    };
    let chain = registry.decorators();
    chain.decorate(&Arc::default(), input).await.unwrap_err();
    let stats = registry.stats().remove(0);
    assert_eq!((stats.denials, stats.errors, stats.calls), (1, 0, 1));
}

#[tokio::test]
async fn what_is_loaded_and_what_plugins_observe_are_metrics() {
    let registry = auth(json!([filter("org-allow", "observe")]));
    once(&registry).await;
    let metrics = registry.metrics();
    let info = metrics
        .iter()
        .find(|metric| metric.name == "plugin_info")
        .unwrap();
    let loaded = &registry.list()[0];
    let api = handlers::api_version();
    for (label, value) in [
        ("instance", "org-allow"),
        ("kind", "authFilters"),
        ("plugin", "Fault"),
        ("version", &loaded.version),
        ("api", &api),
        ("sha256", &loaded.sha256),
    ] {
        assert_eq!(info.labels[label], value);
    }
    assert!(metric(&registry, "plugin_loaded_bytes") > 10_000.0);
    let name = "plugin_org_allow_size_in_bytes";
    let sizes = metrics.iter().find(|metric| metric.name == name).unwrap();
    let MetricValue::Histogram(sizes) = &sizes.value else {
        panic!("{sizes:?}");
    };
    assert_eq!((sizes.count, sizes.sum), (1, 1500.0));
}

/// Remembers the plugins' spans.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context
            .span(id)
            .unwrap()
            .parent()
            .map_or("none", |span| span.name());
        let mut line = Line(format!("{parent}/{}", attributes.metadata().name()));
        attributes.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

/// The spans of one call of each of these plugins, at a level of logging.
async fn spans(level: &str) -> Vec<String> {
    let spans = Spans::default();
    let mut inline = filter("e", "pass");
    inline["executor"] = json!("inline");
    let handlers = json!({
        "authFilters": [filter("f", "hand on")],
        "decorators": [filter("d", "pass"), inline],
    });
    let registry = load(handlers).unwrap();
    let filtering = EnvFilter::new(format!("{level},plugin=off"));
    let subscriber = tracing_subscriber::registry().with(filtering).with(spans.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let proposal = tracing::info_span!("proposal");
    tracing::Instrument::instrument(once(&registry), proposal.clone()).await;
    let input = ChaincodeInput {
        args: vec![Bytes::from("f")],
        ..ChaincodeInput::default()
    };
    let chain = registry.decorators();
    let request = Arc::default();
    let decorated = chain.decorate(&request, input);
    tracing::Instrument::instrument(decorated, proposal)
        .await
        .unwrap();
    let seen = spans.0.lock().unwrap();
    let of_plugins = seen.iter().filter(|line| line.contains("/plugin "));
    of_plugins.cloned().collect()
}

#[tokio::test]
async fn each_call_has_a_span_below_that_of_its_proposal() {
    let expected = [
        r#"proposal/plugin instance="f" kind="authFilters" hook="before""#,
        r#"proposal/plugin instance="f" kind="authFilters" hook="after""#,
        r#"proposal/plugin instance="d" kind="decorators" hook="decorate""#,
        r#"proposal/plugin instance="e" kind="decorators" hook="decorate""#,
    ];
    // tests beside this one set subscribers of their own, and what tracing remembers of interests is the process'
    let mut seen = spans("debug").await;
    for _again in 0..20 {
        if seen == expected {
            break;
        }
        tracing::callsite::rebuild_interest_cache();
        seen = spans("debug").await;
    }
    assert_eq!(seen, expected);
    assert_eq!(spans("info").await, [""; 0], "nobody looks");
}
