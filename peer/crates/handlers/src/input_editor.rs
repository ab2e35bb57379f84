//! [`Editing`]: a chaincode input under a decorator's hands.

use abi_stable::erased_types::TD_Opaque;
use abi_stable::sabi_types::RMut;
use abi_stable::std_types::{ROption, RSlice, RStr, RVec};
use bytes::Bytes;
use plugin_api::{Editor, InputEditor, InputEditor_TO};
use prost::Message;
use protos::peer::ChaincodeInput;

/// Largest input that decorators may make: nothing larger reaches a chaincode anyway.
const MAX_INPUT: usize = protos::MAX_MESSAGE_SIZE;
/// Most arguments and most decorations that decorators may make.
const MAX_ITEMS: usize = 65_536;

/// The input before and, once something is edited, after. The first edit copies the lists, not the bytes.
pub(crate) struct Editing {
    before: ChaincodeInput,
    after: Option<ChaincodeInput>,
    added: usize,
    fault: Option<&'static str>,
}

impl Editing {
    pub(crate) fn new(before: ChaincodeInput) -> Self {
        Self {
            before,
            after: None,
            added: 0,
            fault: None,
        }
    }

    pub(crate) fn editor(&mut self) -> Editor<'_> {
        InputEditor_TO::from_ptr(RMut::new(self), TD_Opaque)
    }

    /// What was wrong with the edits.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// The edited input.
    pub(crate) fn accept(self) -> ChaincodeInput {
        self.after.unwrap_or(self.before)
    }

    fn input(&self) -> &ChaincodeInput {
        self.after.as_ref().unwrap_or(&self.before)
    }

    fn edited(&mut self) -> &mut ChaincodeInput {
        self.after.get_or_insert_with(|| self.before.clone())
    }

    /// The value without a copy, unless that would exceed the limit.
    fn admit(&mut self, value: RVec<u8>) -> Option<Bytes> {
        self.added = self.added.saturating_add(value.len());
        let items = self.input().args.len().max(self.input().decorations.len());
        if self.added > MAX_INPUT || items >= MAX_ITEMS {
            self.fault = Some("made the input too large");
            return None;
        }
        Some(Bytes::from_owner(value))
    }
}

impl InputEditor for Editing {
    fn args_len(&self) -> usize {
        self.input().args.len()
    }

    fn arg(&self, index: usize) -> RSlice<'_, u8> {
        self.input()
            .args
            .get(index)
            .map_or(RSlice::EMPTY, |arg| arg.as_ref().into())
    }

    fn set_arg(&mut self, index: usize, value: RVec<u8>) {
        let Some(value) = self.admit(value) else { return };
        match self.edited().args.get_mut(index) {
            Some(arg) => *arg = value,
            None => self.fault = Some("set an argument that does not exist"),
        }
    }

    fn push_arg(&mut self, value: RVec<u8>) {
        if let Some(value) = self.admit(value) {
            self.edited().args.push(value);
        }
    }

    fn truncate_args(&mut self, len: usize) {
        if len < self.input().args.len() {
            self.edited().args.truncate(len);
        }
    }

    fn decoration(&self, key: RStr<'_>) -> ROption<RSlice<'_, u8>> {
        let found = self.input().decorations.get(key.as_str());
        found.map(|value| RSlice::from_slice(value)).into()
    }

    fn is_init(&self) -> bool {
        self.input().is_init
    }

    fn set_decoration(&mut self, key: RStr<'_>, value: RVec<u8>) {
        if let Some(value) = self.admit(value) {
            self.edited().decorations.insert(key.as_str().to_owned(), value);
        }
    }

    fn encoded(&self) -> RVec<u8> {
        self.input().encode_to_vec().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> ChaincodeInput {
        ChaincodeInput {
            args: vec![Bytes::from("f"), Bytes::from("a")],
            ..ChaincodeInput::default()
        }
    }

    #[test]
    fn edits_are_seen_at_once_and_taken_over_at_the_end() {
        let mut editing = Editing::new(input());
        let mut editor = editing.editor();
        editor.set_arg(1, RVec::from_slice(b"b"));
        editor.push_arg(RVec::from_slice(b"c"));
        editor.set_decoration("k".into(), RVec::from_slice(b"v"));
        assert_eq!(editor.arg(1).as_slice(), b"b");
        assert_eq!(editor.decoration("k".into()).unwrap().as_slice(), b"v");
        drop(editor);
        assert_eq!(editing.fault(), None);
        let after = editing.accept();
        assert_eq!(after.args, [Bytes::from("f"), Bytes::from("b"), Bytes::from("c")]);
    }

    #[test]
    fn truncating_keeps_the_first_arguments() {
        let mut editing = Editing::new(input());
        editing.editor().truncate_args(9);
        assert_eq!(editing.after, None, "nothing was edited");
        editing.editor().truncate_args(1);
        assert_eq!(editing.before, input());
        assert_eq!(editing.accept().args, [Bytes::from("f")]);
    }

    #[test]
    fn impossible_edits_are_faults() {
        let mut editing = Editing::new(input());
        editing.editor().set_arg(7, RVec::new());
        assert_eq!(editing.fault(), Some("set an argument that does not exist"));
        let mut editing = Editing::new(input());
        editing.editor().push_arg(RVec::from(vec![0; MAX_INPUT + 1]));
        assert_eq!(editing.fault(), Some("made the input too large"));
        let mut editing = Editing::new(input());
        for _ in 0..=MAX_ITEMS {
            editing.editor().push_arg(RVec::new());
        }
        assert!(editing.fault().is_some());
    }
}
