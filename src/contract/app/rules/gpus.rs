//! Rules of an app that names its GPUs itself (seeds.md 1-6, 1-7).

use super::Broken;
use crate::model::pin::Pin;
use crate::model::spec::Spec;

pub(super) fn rules(spec: &Spec, broken: &mut Broken) {
    let Some((written, text)) = Pin::text(spec) else { return };
    let path = written.member();
    match Pin::parse(text) {
        Err(error) => broken.unless(false, path, error.to_string()),
        Ok(pin) => {
            let (named, gpus) = (pin.count(), spec.container().gpus);
            let fits = u32::try_from(named).is_ok_and(|named| named == gpus);
            let error = format!("names {named} GPUs, and the app asks for {gpus} by 'gpus'");
            broken.unless(fits, path, error);
        }
    }
}
