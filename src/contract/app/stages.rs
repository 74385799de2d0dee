//! The stages of contract 13.1 in their order, for an app that stands alone and for one that was merged.

use serde_json::Value;

use super::draft::Draft;
use super::normal::Setting;
use super::{fields, legacy, normal, rules};
use crate::contract::fault::{Fault, Options, Problem, Read};
use crate::contract::read::{At, Findings, Reader};
use crate::model::spec::Spec;

/// The largest definition that is stored: a row of the log holds at most 1 MiB, with what stands beside it.
const MOST_BYTES: usize = 768 * 1024;

/// The type stage of a whole app.
pub fn read_draft(
    value: &Value,
    names_itself: bool,
    options: &Options,
) -> Result<(Draft, Findings), Fault> {
    let mut reader = Reader::new(options);
    let mut draft = Draft::default();
    if let Some(mut fields) = reader.constrained(&At::root(value)) {
        let id =
            if names_itself { fields.need("id", fields::id) } else { fields.opt("id", fields::id) };
        draft = Draft { id, ..fields::members(&mut fields) };
        fields.opt("version", fields::version);
        fields.done();
    }
    Ok((draft, reader.finish()?))
}

/// The stages after the type stage, for an app that stands alone.
pub fn whole(
    mut draft: Draft,
    findings: Findings,
    setting: &Setting<'_>,
) -> Result<Read<Spec>, Fault> {
    let broken = legacy::problems(&draft);
    if !broken.is_empty() {
        return Err(Fault::Invalid(broken));
    }
    let mut problems = findings.breaches;
    problems.extend(legacy::port_problems(&draft));
    legacy::translate(&mut draft)?;
    let spec = canonical(draft, problems, setting)?;
    Ok(Read { value: spec, warnings: findings.warnings })
}

/// The last two stages: defaults, then all rules.
pub fn canonical(
    draft: Draft,
    mut problems: Vec<Problem>,
    setting: &Setting<'_>,
) -> Result<Spec, Fault> {
    let checks = draft.health_checks.clone().unwrap_or_default();
    let said_resident = draft.residency.is_some();
    let spec = normal::spec(draft, setting, &mut problems);
    problems.extend(rules::problems(&spec, &checks, said_resident, setting));
    if problems.is_empty() { bounded(spec) } else { Err(Fault::Invalid(problems)) }
}

/// Refuses a definition that no record of the log could hold.
fn bounded(spec: Spec) -> Result<Spec, Fault> {
    let bytes = serde_json::to_vec(&spec).map_or(usize::MAX, |text| text.len());
    if bytes <= MOST_BYTES {
        return Ok(spec);
    }
    Err(Fault::Illegal(format!(
        "the definition takes {bytes} bytes once its defaults are filled in, at most {MOST_BYTES} are stored; \
         fetch large texts as files instead"
    )))
}
