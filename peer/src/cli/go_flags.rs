//! Flags as Go's flag packages read them, which is how Fabric's scripts write them: `--tls=true`, `--tls true`.
//!
//! There a switch takes a value only after `=`; a `true` that follows it is a positional argument, which Fabric's
//! commands do not look at. Here both forms are brought to the plain switch before the command line is read.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{ArgAction, Command};

/// The commands that Fabric has too. Only theirs lose a stray value: `peer dev --reset false` shall not pass.
const FABRICS: [&str; 3] = ["node", "channel", "chaincode"];

/// The command line with every switch in its plain form.
#[must_use]
pub fn normalised(command: &Command, arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut switches = BTreeSet::new();
    collect(command, &mut switches);
    let mut kept: Vec<OsString> = Vec::new();
    let mut rest = arguments.into_iter();
    let mut fabrics = false;
    for argument in rest.by_ref() {
        if argument == "--" {
            kept.push(argument);
            break;
        }
        let text = argument.to_str().unwrap_or_default();
        fabrics |= FABRICS.contains(&text);
        let after_switch = kept.last().is_some_and(|last| is_switch(last, &switches));
        if fabrics && after_switch && ["true", "false", ""].contains(&text) {
            continue;
        }
        match switch_with_value(text, &switches) {
            Some((switch, true)) => kept.push(switch.into()),
            // the last one counts
            Some((switch, false)) => kept.retain(|earlier| earlier != switch),
            None => kept.push(argument),
        }
    }
    kept.extend(rest);
    kept
}

fn is_switch(argument: &OsString, switches: &BTreeSet<String>) -> bool {
    argument.to_str().is_some_and(|text| switches.contains(text))
}

/// The switch and the value of `--switch=value`, if both are what they should be.
fn switch_with_value<'a>(text: &'a str, switches: &BTreeSet<String>) -> Option<(&'a str, bool)> {
    let (switch, value) = text.split_once('=')?;
    let value = match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => return None,
    };
    switches.contains(switch).then_some((switch, value))
}

fn collect(command: &Command, switches: &mut BTreeSet<String>) {
    for argument in command.get_arguments() {
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            switches.extend(argument.get_long().map(|long| format!("--{long}")));
            switches.extend(argument.get_short().map(|short| format!("-{short}")));
        }
    }
    for subcommand in command.get_subcommands() {
        collect(subcommand, switches);
    }
}
