//! Which phase a chaincode on its way to running is in: what the runtime knows, and what the script of a build says.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::error::Phase;

/// Variable that tells the script of a build what to put in front of the name of a phase (`plugin_api::PHASE_MARK`).
const MARK_VARIABLE: &str = "CHAINCODE_PHASE_MARK";

/// One chaincode on its way.
pub(crate) struct Stage {
    /// Another one in every build, so that no output of a tool is taken for it.
    mark: String,
    phase: Mutex<Phase>,
}

impl Stage {
    fn new(phase: Phase) -> Self {
        let mut random = [0; 12];
        // without a mark no script says anything, and a build is one phase
        let mark = match aws_lc_rs::rand::fill(&mut random) {
            Ok(()) => format!("@phase-{}:", hex::encode(random)),
            Err(_unavailable) => String::new(),
        };
        Self {
            mark,
            phase: Mutex::new(phase),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        *self.phase.lock() = phase;
    }

    /// Name and value of the variable for the build's script.
    pub(crate) fn variable(&self) -> (String, String) {
        (MARK_VARIABLE.to_owned(), self.mark.clone())
    }

    /// What a line of a build says about its phase: the output in front of it, and the phase, which begins.
    pub(crate) fn read<'a>(&self, line: &'a str) -> Option<(&'a str, Phase)> {
        if self.mark.is_empty() {
            return None;
        }
        let (before, name) = line.split_once(&self.mark)?;
        let said = match name {
            "dependencies" => Phase::Dependencies,
            "compile" => Phase::Compile,
            _ => return None,
        };
        let mut phase = self.phase.lock();
        // a script knows of nothing else
        if matches!(*phase, Phase::Build | Phase::Dependencies | Phase::Compile) {
            *phase = said;
        }
        Some((before, said))
    }
}

/// All that are on their way, by id.
#[derive(Default)]
pub(crate) struct Stages(Mutex<HashMap<String, Weak<Stage>>>);

impl Stages {
    /// A chaincode sets out, until the answer is dropped.
    pub(crate) fn begin(&self, chaincode: &str, phase: Phase) -> Arc<Stage> {
        let stage = Arc::new(Stage::new(phase));
        let mut all = self.0.lock();
        all.retain(|_, stage| stage.strong_count() > 0);
        all.insert(chaincode.to_owned(), Arc::downgrade(&stage));
        stage
    }

    /// The phase that it is in; none if it is not on its way.
    pub(crate) fn phase(&self, chaincode: &str) -> Option<Phase> {
        let stage = self.0.lock().get(chaincode)?.upgrade()?;
        Some(stage.phase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_its_own_phases_and_no_others() {
        let stage = Stage::new(Phase::Build);
        let (name, mark) = stage.variable();
        assert_eq!(name, "CHAINCODE_PHASE_MARK");
        let said = |text: &str| stage.read(text).map(|(before, phase)| (before.to_owned(), phase));
        assert_eq!(
            said(&format!("{mark}compile")),
            Some((String::new(), Phase::Compile))
        );
        assert_eq!(
            said(&format!("50%{mark}dependencies")),
            Some(("50%".to_owned(), Phase::Dependencies))
        );
        assert_eq!(stage.phase(), Phase::Dependencies);
        for other in ["", "image", "register", "compile and more", "compile\r"] {
            assert_eq!(said(&format!("{mark}{other}")), None, "{other}");
        }
        for foreign in ["compile", "@phase-00:compile", "@phase-:compile"] {
            assert_eq!(said(foreign), None);
        }
        stage.enter(Phase::Image);
        assert!(said(&format!("{mark}compile")).is_some());
        assert_eq!(stage.phase(), Phase::Image, "the script's part is over");
        assert_ne!(Stage::new(Phase::Build).variable().1, mark);
    }

    #[test]
    fn only_what_is_on_its_way_has_a_phase() {
        let stages = Stages::default();
        assert_eq!(stages.phase("a:1"), None);
        let stage = stages.begin("a:1", Phase::Pull);
        assert_eq!(stages.phase("a:1"), Some(Phase::Pull));
        stage.enter(Phase::Build);
        assert_eq!(stages.phase("a:1"), Some(Phase::Build));
        drop(stage);
        assert_eq!(stages.phase("a:1"), None);
        let _other = stages.begin("b:1", Phase::Start);
        assert_eq!(stages.0.lock().len(), 1, "nothing piles up");
    }
}
