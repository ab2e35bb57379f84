//! Sends the plugin's `tracing` events, `log` records and panics to the peer's log.
//!
//! A plugin has its own copy of `tracing` and of the standard library, so the peer's subscriber and panic
//! hook never see what happens in here. The first constructor of a library installs them.

use crate::host::HostRef;
use abi_stable::std_types::{RSlice, RStr, Tuple2};
use std::fmt;
use std::panic::PanicHookInfo;
use std::sync::Once;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

static INSTALL: Once = Once::new();

/// Installs subscriber, logger and panic hook, once per library.
pub fn install(host: &HostRef) {
    INSTALL.call_once(|| {
        let subscriber = Registry::default().with(HostLayer(host.clone()));
        // fails only when the author has installed one already, which then wins
        if tracing::subscriber::set_global_default(subscriber).is_err() {
            tracing::debug!("plugin has a subscriber of its own");
        }
        // fails only when the author has installed a logger already
        if tracing_log::LogTracer::init().is_err() {
            tracing::debug!("plugin has a logger of its own");
        }
        let host = host.clone();
        std::panic::set_hook(Box::new(move |info| report(&host, info)));
    });
}

fn report(host: &HostRef, info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let fields = [
        Tuple2(RStr::from("panic"), RStr::from(text)),
        Tuple2(RStr::from("location"), RStr::from(location.as_str())),
    ];
    host.log(
        1,
        "panic".into(),
        "plugin panicked".into(),
        RSlice::from_slice(&fields),
    );
}

fn number(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        _ => 5,
    }
}

struct HostLayer(HostRef);

/// The fields of a span or an event, as text.
#[derive(Default)]
struct Fields {
    message: String,
    pairs: Vec<(String, String)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        // events of the `log` crate's bridge carry their origin in such fields
        if field.name() == "message" {
            self.message = value;
        } else if !field.name().starts_with("log.") {
            self.pairs.push((field.name().to_owned(), value));
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

impl<S> Layer<S> for HostLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        self.0
            .log_enabled(number(metadata.level()), metadata.target().into())
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.pairs.extend(of_span.pairs.iter().cloned());
            }
        }
        let pairs: Vec<_> = fields
            .pairs
            .iter()
            .map(|(name, value)| Tuple2(RStr::from(name.as_str()), RStr::from(value.as_str())))
            .collect();
        // the bridge's events are all of one place; the record's own is in their fields
        let of_record = event.normalized_metadata();
        let metadata = of_record.as_ref().unwrap_or_else(|| event.metadata());
        self.0.log(
            number(metadata.level()),
            metadata.target().into(),
            fields.message.as_str().into(),
            RSlice::from_slice(&pairs),
        );
    }
}
