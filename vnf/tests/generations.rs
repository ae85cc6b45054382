//! Generations, model-checked: in every order that the memory model allows, nothing is freed that a
//! reader may still look at. Built with `--cfg lwaftr_loom` (`make test-deep`).

#![cfg(lwaftr_loom)]
#![allow(missing_docs)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::thread;
use vnf::memory::{Generations, Reader};

/// What is published one after the other. Nothing is stored: loom complains of a look at one that
/// the write that stands for its freeing has not come after, or before.
type Things = [UnsafeCell<()>; 3];

struct Published {
    things: Things,
    current: AtomicUsize,
}

impl Published {
    fn new() -> Arc<Self> {
        let things = [(); 3].map(UnsafeCell::new);
        Arc::new(Self { things, current: AtomicUsize::new(0) })
    }

    /// Makes the next thing, publishes it, and frees the one before if nobody can hold it.
    fn replace(&self, number: usize, generations: &Generations) -> bool {
        self.things[number].with_mut(|_| ());
        self.current.store(number, Release);
        let generation = generations.advance();
        let passed = generations.passed(generation);
        if passed {
            self.things[number - 1].with_mut(|_| ());
        }
        passed
    }

    /// What a worker does in so many rounds.
    fn read(&self, reader: &Reader, rounds: usize) {
        for _ in 0..rounds {
            let number = reader.quiescent(|| self.current.load(Acquire));
            self.things[number].with(|_| ());
        }
    }
}

/// Tries all orders in which no thread is interrupted more than three times: more takes hours.
fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(body);
}

#[test]
fn nothing_is_freed_that_a_reader_holds() {
    // In some order it is freed at once: the model would be empty if it never were.
    let freed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = freed.clone();
    model(move || {
        let published = Published::new();
        let (generations, readers) = Generations::new(2);
        for reader in readers {
            let published = published.clone();
            thread::spawn(move || published.read(&reader, 1));
        }
        if published.replace(1, &generations) {
            seen.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    assert!(freed.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn nothing_is_freed_in_later_rounds_either() {
    model(|| {
        let published = Published::new();
        let (generations, mut readers) = Generations::new(1);
        let (reader, worker) = (readers.remove(0), published.clone());
        let thread = thread::spawn(move || worker.read(&reader, 2));
        published.replace(1, &generations);
        published.replace(2, &generations);
        thread.join().unwrap();
        // Its reader is gone: everything has passed.
        assert!(generations.passed(2));
    });
}
