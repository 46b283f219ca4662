//! A state in memory, as a stream.

use super::int;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use vst3::Class;
use vst3::Steinberg::{
    IBStream, IBStream_, IBStreamTrait, int32, int64, kInvalidArgument, kResultOk, tresult,
};

/// Bytes, and where the next are read or written.
#[derive(Default)]
pub(super) struct Stream {
    bytes: RefCell<Vec<u8>>,
    at: Cell<usize>,
}

impl Stream {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: RefCell::new(bytes), at: Cell::new(0) }
    }

    pub(super) fn take(&self) -> Vec<u8> {
        self.bytes.take()
    }
}

impl Class for Stream {
    type Interfaces = (IBStream,);
}

#[allow(non_snake_case, reason = "the specification's names")]
impl IBStreamTrait for Stream {
    unsafe fn read(&self, buffer: *mut c_void, wanted: int32, read: *mut int32) -> tresult {
        let bytes = self.bytes.borrow();
        let rest = bytes.get(self.at.get()..).unwrap_or_default();
        let length = usize::try_from(wanted).unwrap_or(0).min(rest.len());
        // SAFETY: the caller's buffer holds as many bytes as it wants.
        unsafe {
            buffer.cast::<u8>().copy_from_nonoverlapping(rest.as_ptr(), length);
            if !read.is_null() {
                read.write(int(length));
            }
        }
        self.at.set(self.at.get() + length);
        kResultOk
    }

    unsafe fn write(&self, buffer: *mut c_void, length: int32, written: *mut int32) -> tresult {
        let Ok(count) = usize::try_from(length) else { return kInvalidArgument };
        let mut bytes = self.bytes.borrow_mut();
        let end = self.at.get() + count;
        let longest = bytes.len().max(end);
        bytes.resize(longest, 0);
        // SAFETY: the caller's buffer holds as many bytes as it says, and so does ours.
        unsafe {
            let to = bytes[self.at.get()..end].as_mut_ptr();
            to.copy_from_nonoverlapping(buffer.cast::<u8>(), count);
            if !written.is_null() {
                written.write(length);
            }
        }
        self.at.set(end);
        kResultOk
    }

    unsafe fn seek(&self, offset: int64, mode: int32, result: *mut int64) -> tresult {
        let from = if mode == int(IBStream_::IStreamSeekMode_::kIBSeekCur) {
            self.at.get()
        } else if mode == int(IBStream_::IStreamSeekMode_::kIBSeekEnd) {
            self.bytes.borrow().len()
        } else {
            0
        };
        let Some(at) = isize::try_from(offset).ok().and_then(|offset| from.checked_add_signed(offset)) else {
            return kInvalidArgument;
        };
        self.at.set(at);
        if result.is_null() {
            return kResultOk;
        }
        // SAFETY: the caller gives a place for the position.
        unsafe { self.tell(result) }
    }

    unsafe fn tell(&self, position: *mut int64) -> tresult {
        // SAFETY: the caller gives a place for the position.
        unsafe { position.write(i64::try_from(self.at.get()).unwrap_or(i64::MAX)) };
        kResultOk
    }
}
