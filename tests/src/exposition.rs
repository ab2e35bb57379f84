//! A reader of Prometheus' text format, version 0.0.4, that takes nothing that Prometheus would refuse.

use std::collections::{BTreeMap, BTreeSet};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name of the sample, which for histograms is not that of the family.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// All that a server shows.
#[derive(Debug, Default)]
pub struct Exposition {
    types: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

impl Exposition {
    /// Reads a text.
    ///
    /// # Panics
    /// When Prometheus would not take it.
    #[must_use]
    pub fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut read = Self::default();
        let mut seen = BTreeSet::new();
        let mut family = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                assert!(is_name(rest.split(' ').next().unwrap_or_default()), "{line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let before = read.types.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "{name} is declared twice");
                name.clone_into(&mut family);
            } else {
                let sample = sample(line);
                read.check_family(&family, &sample.name);
                let key = (sample.name.clone(), sample.labels.clone());
                assert!(seen.insert(key), "two values of one series: {line}");
                read.samples.push(sample);
            }
        }
        read.check_histograms();
        read
    }

    fn check_family(&self, family: &str, name: &str) {
        let kind = self.types.get(family).expect("a family before its samples");
        let belongs = if kind == "histogram" {
            ["_bucket", "_sum", "_count"]
                .iter()
                .any(|part| name.strip_suffix(part) == Some(family))
        } else {
            name == family
        };
        assert!(belongs, "{name} is no sample of the {kind} {family}");
    }

    /// Buckets ascend, and the last one has all.
    fn check_histograms(&self) {
        for (family, _) in self.types.iter().filter(|(_, kind)| *kind == "histogram") {
            let counts = self.all(&format!("{family}_count"), &[]);
            assert!(!counts.is_empty(), "{family} has no count");
            for count in counts {
                let labels: Vec<_> = count
                    .labels
                    .iter()
                    .map(|(k, v)| (k.as_str(), v.as_str()))
                    .collect();
                let mut buckets = self.all(&format!("{family}_bucket"), &labels);
                buckets.retain(|bucket| bucket.labels.len() == labels.len() + 1);
                let values: Vec<f64> = buckets.iter().map(|bucket| bucket.value).collect();
                assert!(values.is_sorted(), "{family} {labels:?}: {values:?}");
                let last = buckets.last().expect("a bucket");
                assert_eq!(last.labels["le"], "+Inf", "{family}");
                assert_eq!(last.value, count.value, "{family} {labels:?}");
            }
        }
    }

    /// The samples of a name that have these labels, among others.
    #[must_use]
    pub fn all(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let has = |sample: &&Sample| {
            let label = |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|v| v == value);
            sample.name == name && labels.iter().all(label)
        };
        self.samples.iter().filter(has).collect()
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).iter().map(|sample| sample.value).sum()
    }

    /// `counter`, `gauge` or `histogram`.
    #[must_use]
    pub fn kind(&self, family: &str) -> Option<&str> {
        self.types.get(family).map(String::as_str)
    }
}

fn is_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    first
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect("a name");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        let mut inside = inside;
        loop {
            let (label, value) = inside.split_once("=\"").expect("a label");
            assert!(is_name(label) && !label.contains(':'), "{line}");
            let (value, after) = unquoted(value);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            match after.strip_prefix(',') {
                Some(next) => inside = next,
                None => {
                    rest = after.strip_prefix('}').expect("an end of labels");
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').expect("a value").parse();
    Sample {
        name: name.to_owned(),
        labels,
        value: value.expect("a number and nothing else"),
    }
}

/// A label's value up to its closing quote, and what follows that.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                other => panic!("an escape that is none: {other:?} in {text}"),
            },
            other => value.push(other),
        }
    }
    panic!("a label without end: {text}")
}
