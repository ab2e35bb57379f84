//! [`Queue`]: places for records that wait for the disk. A request takes its place at its beginning, never waits for one,
//! and gives it up when its record is written.

use crate::record::Done;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A place. Whoever has the record has it.
pub(crate) struct Place(Arc<Places>);

struct Places {
    taken: AtomicUsize,
    most: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Release);
    }
}

/// What the writer gets.
pub(crate) enum Message {
    /// A record and its place.
    Record(Box<Done>, Place),
    /// Nothing more will come.
    Stop,
}

/// The requests' end.
#[derive(Clone)]
pub(crate) struct Queue {
    places: Arc<Places>,
    sender: Sender<Message>,
    /// The last write has failed, or there is no writer.
    broken: Arc<AtomicBool>,
}

/// The writer's end.
pub(crate) struct Waiting {
    pub(crate) receiver: Receiver<Message>,
    pub(crate) broken: Arc<AtomicBool>,
}

/// A queue for so many requests.
pub(crate) fn queue(most: usize) -> (Queue, Waiting) {
    // its length is bounded by the places
    let (sender, receiver) = channel();
    let taken = AtomicUsize::new(0);
    let broken = Arc::new(AtomicBool::new(false));
    let queue = Queue {
        places: Arc::new(Places { taken, most }),
        sender,
        broken: Arc::clone(&broken),
    };
    (queue, Waiting { receiver, broken })
}

impl Queue {
    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<Place> {
        let one_more = |taken: usize| (taken < self.places.most).then_some(taken + 1);
        self.places
            .taken
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, one_more)
            .ok()
            .map(|_before| Place(Arc::clone(&self.places)))
    }

    /// Whether writing fails at the moment.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Hands a record to the writer; false when there is none any more.
    pub(crate) fn put(&self, done: Done, place: Place) -> bool {
        self.sender.send(Message::Record(Box::new(done), place)).is_ok()
    }

    /// Tells the writer to write what it has and to end.
    pub(crate) fn stop(&self) {
        // no writer: it has stopped already
        self.sender.send(Message::Stop).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_they_come_back() {
        let (queue, _waiting) = queue(2);
        let (first, second) = (queue.take(), queue.take());
        assert!(first.is_some() && second.is_some() && queue.take().is_none());
        drop(first);
        assert!(queue.take().is_some() && queue.take().is_some_and(|_again| true));
        let places: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(places.len(), 1, "the second is still taken");
    }
}
