//! Files in safetensors format.

use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::{Entry, NumberFormat, Stored};

/// The tensors of a file, or what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<(String, Entry)>, String> {
    let (header, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| explain(&error, bytes.len()))?;
    let mut tensors = Vec::new();
    for (name, info) in metadata.tensors() {
        let stored = match info.dtype {
            Dtype::F32 => Stored::Numbers(NumberFormat::F32),
            Dtype::F16 => Stored::Numbers(NumberFormat::F16),
            Dtype::BF16 => Stored::Numbers(NumberFormat::Bf16),
            other => Stored::Other(format!("{other:?}")),
        };
        let entry = Entry::new(stored, info.shape.clone(), size_of::<u64>() + header + info.data_offsets.0);
        let entry = entry.within(bytes.len()).ok_or_else(|| super::outside(&name))?;
        tensors.push((name, entry));
    }
    Ok(tensors)
}

/// What a parse error means for the person who has the file.
fn explain(error: &SafeTensorError, length: usize) -> String {
    use SafeTensorError as E;
    match error {
        E::MetadataIncompleteBuffer | E::HeaderTooSmall | E::InvalidHeaderLength => format!(
            "the file is cut short or damaged: its {length} bytes are not the ones its header announces; \
             download or copy it again"
        ),
        other => format!("not a safetensors file ({other}); download or export it again"),
    }
}
