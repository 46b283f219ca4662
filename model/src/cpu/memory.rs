//! Memory as the system maps it. For weights, in large pages: with the usual ones of 4 KiB a processor looks up
//! addresses, and stops fetching ahead, all the time it streams weights.
//!
//! A large page has 2 MiB, more than most matrices. So they are cut from chunks that they
//! share, and a chunk is given back when the last of them is. For keys and values, which
//! come and go, in chunks of their own.

use std::alloc::Layout;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::{MmapMut, MmapRaw};

/// Bytes of a large page.
const LARGE: usize = 2 << 20;

/// Bytes of a chunk, of which only those count that are written to.
const CHUNK: usize = 256 << 20;

/// Where in a chunk something may begin: a cache line.
const ALIGNMENT: usize = 64;

/// Types of which all bytes may be 0.
///
/// # Safety
/// They are plain numbers, or arrays of such.
pub(super) unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: plain numbers.
unsafe impl Plain for u16 {}
// SAFETY: plain numbers.
unsafe impl Plain for f32 {}
// SAFETY: arrays of plain numbers.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Some memory as the system maps it: zeros, until written to.
struct Chunk(MmapRaw);

/// The chunk that is cut from, as long as somebody uses it, and how much of it is gone.
static OPEN: Mutex<(Weak<Chunk>, usize)> = Mutex::new((Weak::new(), 0));

/// A slice of a chunk, which belongs to it alone.
pub(super) struct Memory<T> {
    start: NonNull<T>,
    len: usize,
    _chunk: Arc<Chunk>,
}

impl<T: Plain> Memory<T> {
    /// So many zeros.
    pub(super) fn zeros(len: usize) -> Self {
        const { assert!(align_of::<T>() <= ALIGNMENT) }
        let bytes = Layout::array::<T>(len).map_or(usize::MAX / 2, |layout| layout.size());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let (weak, used) = &mut *open;
        let chunk = weak.upgrade().filter(|_| *used + bytes <= CHUNK).unwrap_or_else(|| {
            let chunk = Arc::new(Chunk::of(bytes.max(CHUNK)));
            (*weak, *used) = (Arc::downgrade(&chunk), 0);
            chunk
        });
        let start = chunk.at(*used);
        *used = (*used + bytes).next_multiple_of(ALIGNMENT);
        Self { start: start.cast(), len, _chunk: chunk }
    }
}

impl<T: Plain> Memory<T> {
    /// So many zeros in a chunk of their own, in pages of the usual size: they take memory
    /// as they are written to, and give it back at once.
    pub(super) fn alone(len: usize) -> Self {
        let bytes = Layout::array::<T>(len).map_or(usize::MAX / 2, |layout| layout.size());
        // PANIC: as an allocation that fails ends the program.
        let map = MmapMut::map_anon(bytes.max(1)).expect("memory for keys and values");
        let chunk = Arc::new(Chunk(MmapRaw::from(map)));
        let start = NonNull::new(chunk.0.as_mut_ptr()).unwrap_or(NonNull::dangling());
        Self { start: start.cast(), len, _chunk: chunk }
    }
}

impl<T: Plain> Clone for Memory<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::alone(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl Chunk {
    /// One in which so many bytes have room from a large page's beginning on.
    fn of(bytes: usize) -> Self {
        // PANIC: as an allocation that fails ends the program.
        let map = MmapRaw::from(MmapMut::map_anon(bytes + LARGE).expect("memory for the weights"));
        #[cfg(target_os = "linux")]
        // A system that has no large pages says so, and the usual ones do.
        let _ = map.advise(memmap2::Advice::HugePage);
        Self(map)
    }

    /// The address so many bytes after the first large page's beginning, not past the end.
    fn at(&self, offset: usize) -> NonNull<u8> {
        let begin = self.0.as_mut_ptr();
        let aligned = begin.wrapping_add(begin.align_offset(LARGE) + offset);
        NonNull::new(aligned).unwrap_or(NonNull::dangling())
    }
}

impl<T: Plain> Deref for Memory<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: so many `T` have room here, aligned; they are zeros or what was written,
        // nobody else has them, and the chunk is there as long as this is.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Plain> DerefMut for Memory<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

// SAFETY: it owns its numbers.
unsafe impl<T: Plain> Send for Memory<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Memory<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_zeros_of_their_own_on_a_cache_line() {
        let mut all: Vec<Memory<[u16; 16]>> = [1, 7, 0, 30_000, 2, 5_000_000, 3].map(Memory::zeros).into();
        for (memory, number) in all.iter_mut().zip(1..) {
            assert!(memory.iter().flatten().all(|&n| n == 0));
            assert_eq!(memory.as_ptr().align_offset(ALIGNMENT), 0);
            memory.fill([number; 16]);
        }
        for (memory, number) in all.iter().zip(1..) {
            assert!(memory.iter().flatten().all(|&n| n == number), "slice {number}");
            assert!(*memory.clone() == **memory);
        }
    }
}
