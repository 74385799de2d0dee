//! Bodies that ask for a deploy: an app with a strategy beside it, or a `deploy` object inside it.
//!
//! All faults are told at once, those of the app and those of the rest, each with its place in the body. How the app itself
//! is read is `app`'s.

use serde_json::{Map, Value};

use crate::contract::fault::{Fault, Options, Problem, Read, Warning};
use crate::contract::read::{At, Fields, Reader};
use crate::model::colour::{ALT_PORT, Colour, GROUP};
use crate::model::deploy::{Amount, Analysis, Measure, Plan, Strategy};
use crate::model::deployment::OnFailure;
use crate::model::spec::Spec;
use crate::model::time::Span;
use crate::model::unit::Ratio;

/// The member of an app that asks for a deploy.
pub const MEMBER: &str = "deploy";

/// A step may take so long unless it is said.
const DEADLINE: Span = Span::secs(600);
/// A canary is watched so long unless it is said.
const HOLD: Span = Span::secs(60);
/// After an answer that says nothing it is asked again.
const INTERVAL: Span = Span::secs(5);

/// The longest hold and the longest deadline.
const MOST_SECONDS: i64 = 7 * 24 * 3_600;
const MOST_STEPS: usize = 100;
const MOST_QUERY: usize = 8_192;
const MOST_URL: usize = 2_048;

const STRATEGIES: &[(&str, Strategy)] = &[
    ("rolling", Strategy::Rolling),
    ("blue-green", Strategy::BlueGreen),
    ("canary", Strategy::Canary),
];

/// What a body asks for beside its app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How it comes into service.
    pub plan: Plan,
    /// Whether the app says how many instances there shall be.
    pub counted: bool,
    /// What is odd.
    pub warnings: Vec<Warning>,
}

/// Reads a body of `POST /v2/deploys`, its app by `app`.
///
/// # Errors
/// Every fault of the first stage that finds one, in the app and beside it.
pub fn read(
    value: &Value,
    options: &Options,
    app: impl FnOnce(&Value) -> Result<Read<Spec>, Fault>,
) -> Result<(Asked, Read<Spec>), Fault> {
    let at = At::root(value);
    let mut reader = Reader::new(options);
    let Some(mut fields) = reader.object(&at) else {
        reader.finish()?;
        return Err(Fault::Empty);
    };
    let body = fields.need_plain("app", object);
    let plan = plan(&mut fields);
    fields.done();
    both(reader, plan, body.unwrap_or(&Value::Null), "/app", app)
}

/// Takes the `deploy` object out of the body of an app, and reads both.
///
/// # Errors
/// As [`read`].
pub fn read_within(
    value: &Value,
    options: &Options,
    app: impl FnOnce(&Value) -> Result<Read<Spec>, Fault>,
) -> Result<(Asked, Read<Spec>), Fault> {
    let asked = value.get(MEMBER).unwrap_or(&Value::Null);
    let at = At { value: asked, path: format!("/{MEMBER}") };
    let mut reader = Reader::new(options);
    let mut read = None;
    if let Some(mut fields) = reader.object(&at) {
        read = plan(&mut fields);
        fields.done();
    }
    let rest: Map<String, Value> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| *name != MEMBER)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    both(reader, read, &Value::Object(rest), "", app)
}

/// Brings the faults of the app and of the rest together.
fn both(
    reader: Reader<'_>,
    plan: Option<Plan>,
    body: &Value,
    prefix: &str,
    app: impl FnOnce(&Value) -> Result<Read<Spec>, Fault>,
) -> Result<(Asked, Read<Spec>), Fault> {
    let rest = reader.finish();
    let read = if body.is_object() { Some(app(body)) } else { None };
    let placed = |problems: Vec<Problem>| -> Vec<Problem> {
        let place = |it: Problem| Problem::new(format!("{prefix}{}", it.path), it.error);
        problems.into_iter().map(place).collect()
    };
    let (findings, read) = match (rest, read) {
        (Err(Fault::Type(mut faults)), Some(Err(Fault::Type(more)))) => {
            faults.extend(placed(more));
            return Err(Fault::Type(faults));
        }
        (Err(fault), _) => return Err(fault),
        (Ok(_), Some(Err(Fault::Type(faults)))) => return Err(Fault::Type(placed(faults))),
        (Ok(findings), Some(Err(Fault::Invalid(problems)))) => {
            let mut all = findings.breaches;
            all.extend(placed(problems));
            return Err(Fault::Invalid(all));
        }
        (Ok(_), Some(Err(fault))) => return Err(fault),
        (Ok(findings), Some(Ok(read))) => (findings, read),
        (Ok(_), None) => return Err(Fault::Empty),
    };
    let plan = plan.ok_or(Fault::Empty)?;
    let mut problems = findings.breaches;
    problems.extend(placed(label_problems(&plan, &read.value)));
    if !problems.is_empty() {
        return Err(Fault::Invalid(problems));
    }
    let mut warnings = findings.warnings;
    warnings.extend(warning(&plan, &read.value));
    let counted = body.get("instances").is_some_and(|count| !count.is_null());
    Ok((Asked { plan, counted, warnings }, read))
}

/// What the strategy needs of the app.
fn label_problems(plan: &Plan, spec: &Spec) -> Vec<Problem> {
    if plan.strategy == Strategy::Rolling {
        return Vec::new();
    }
    let mut problems = Vec::new();
    if Colour::Green.path(&spec.path).is_none() {
        problems.push(Problem::new("/id", "is too long for a colour behind it"));
    }
    let port = spec.labels.get(ALT_PORT).map(|text| text.parse::<u16>().unwrap_or(0));
    match (spec.labels.contains_key(GROUP), port) {
        (true, None) => problems.push(Problem::new(
            format!("/labels/{ALT_PORT}"),
            format!("is needed beside {GROUP}: the service port of every other app"),
        )),
        (_, Some(0)) => {
            problems.push(Problem::new(format!("/labels/{ALT_PORT}"), "is no port: 1 to 65535"));
        }
        (true | false, Some(_)) | (false, None) => {}
    }
    problems
}

fn warning(plan: &Plan, spec: &Spec) -> Option<Warning> {
    let is_pair = plan.strategy != Strategy::Rolling;
    (is_pair && !spec.labels.contains_key(GROUP)).then(|| {
        Warning(format!("no label {GROUP}: no load balancer follows this deploy by itself"))
    })
}

/// Reads all members but `app`.
fn plan(fields: &mut Fields<'_, '_, '_>) -> Option<Plan> {
    let strategy = fields.need_plain("strategy", |reader, at| reader.choice(at, STRATEGIES));
    let steps = fields.list("steps", amount);
    let hold = fields.opt("hold", span);
    let analysis = fields.opt("analysis", analysis);
    let deadline = fields.opt("deadlineSeconds", |reader, at| reader.int(at, 1, MOST_SECONDS));
    let max_failures = fields.opt("maxFailures", Reader::count);
    let on_failure = fields.opt("onFailure", |reader, at| reader.choice(at, &OnFailure::WORDS));
    let strategy = strategy?;
    let place = format!("{}/steps", fields.path);
    if let Some(steps) = &steps {
        check_steps(fields.reader, &place, strategy, steps);
    }
    let seconds = deadline.and_then(|seconds| u64::try_from(seconds).ok());
    Some(Plan {
        strategy,
        steps: steps.unwrap_or_else(|| usual_steps(strategy)),
        hold: hold.unwrap_or(if strategy == Strategy::Canary { HOLD } else { Span::ZERO }),
        analysis,
        deadline: seconds.map_or(DEADLINE, Span::secs),
        max_failures: max_failures.unwrap_or(0),
        on_failure: on_failure.unwrap_or(OnFailure::Rollback),
    })
}

fn usual_steps(strategy: Strategy) -> Vec<Amount> {
    let percent = |share: u64| Amount::Share(Ratio::micro(share * 10_000));
    match strategy {
        Strategy::Rolling => vec![percent(100)],
        Strategy::BlueGreen => vec![Amount::Count(1), percent(50), percent(100)],
        Strategy::Canary => vec![percent(5), percent(25), percent(100)],
    }
}

fn check_steps(reader: &mut Reader<'_>, place: &str, strategy: Strategy, steps: &[Amount]) {
    reader.require(strategy != Strategy::Rolling, place, "a rolling deploy has one step");
    reader.require(!steps.is_empty(), place, "must not be empty");
    reader.require(steps.len() <= MOST_STEPS, place, "has more than 100 steps");
    let (mut share, mut count) = (Ratio::default(), 0);
    for (no, step) in steps.iter().enumerate() {
        let grows = match step {
            Amount::Share(it) => std::mem::replace(&mut share, *it) < *it,
            Amount::Count(it) => std::mem::replace(&mut count, *it) < *it,
        };
        reader.require(grows, format!("{place}({no})"), "is not more than the step before");
    }
}

/// `"25%"`, `5` or `"5"`.
fn amount(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Amount> {
    let read = match at.value {
        Value::Number(number) => {
            number.as_u64().and_then(|count| count.try_into().ok()).map(Amount::Count)
        }
        Value::String(text) => match text.trim().strip_suffix('%') {
            Some(share) => percent(share),
            None => text.trim().parse().ok().map(Amount::Count),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let read = read.filter(|amount| match amount {
        Amount::Share(share) => (1..=1_000_000).contains(&share.as_micro()),
        Amount::Count(count) => (1..=i32::MAX.unsigned_abs()).contains(count),
    });
    if read.is_none() {
        reader.fault(&at.path, "is neither a share such as \"25%\" nor a number of instances");
    }
    read
}

fn percent(text: &str) -> Option<Amount> {
    let (whole, rest) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || rest.len() > 4 || !digits(whole) || !digits(rest) {
        return None;
    }
    let parts: u64 = format!("{whole}{rest:0<4}").parse().ok()?;
    Some(Amount::Share(Ratio::micro(parts)))
}

/// Seconds as a number, or a text such as `90s`, `5m`, `1h`.
fn span(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Span> {
    let Value::String(text) = at.value else {
        return reader.int(at, 0, MOST_SECONDS).and_then(|it| it.try_into().ok()).map(Span::secs);
    };
    let text = text.trim();
    let (number, factor) = match text.bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3_600),
        Some(_) | None => (text, 1),
    };
    let seconds = number.parse::<u32>().ok().map(|number| u64::from(number) * factor);
    let seconds = seconds.filter(|seconds| *seconds <= MOST_SECONDS.unsigned_abs());
    if seconds.is_none() {
        reader.fault(
            &at.path,
            "is no time of at most seven days such as 90, \"90s\", \"5m\" or \"1h\"",
        );
    }
    seconds.map(Span::secs)
}

fn analysis(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Analysis> {
    let mut fields = reader.object(at)?;
    let prometheus = fields.need_plain("prometheus", url);
    let query = fields.need_plain("query", |reader, at| reader.sized(at, MOST_QUERY));
    let min = fields.opt("min", measure);
    let max = fields.opt("max", measure);
    let interval = fields.opt("intervalSeconds", |reader, at| reader.int(at, 1, 3_600));
    let place = fields.path.clone();
    let bounded = min.is_some() || max.is_some();
    fields.reader.require(bounded, place.clone(), "needs max, min or both");
    let in_order = min.zip(max).is_none_or(|(min, max)| min <= max);
    fields.reader.require(in_order, format!("{place}/min"), "is more than max");
    fields.done();
    let interval = interval.and_then(|seconds| u64::try_from(seconds).ok());
    let interval = interval.map_or(INTERVAL, Span::secs);
    Some(Analysis { prometheus: prometheus?, query: query?, min, max, interval })
}

fn url(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let text = reader.sized(at, MOST_URL)?;
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_fine = rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && rest.chars().all(|it| it.is_ascii_graphic())
    });
    reader.require(is_fine, at.path.clone(), "is no http or https URL");
    Some(text)
}

/// A number in millionths; beyond what those hold it is the most that they hold.
#[expect(clippy::cast_possible_truncation, reason = "a cast from a float stops at the bounds")]
fn measure(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Measure> {
    reader.number(at)?.as_f64().map(|number| Measure((number * 1e6).round() as i64))
}

fn object<'v>(reader: &mut Reader<'_>, at: &At<'v>) -> Option<&'v Value> {
    if at.value.is_object() {
        return Some(at.value);
    }
    reader.fault(&at.path, "error.expected.jsobject");
    None
}

/// What Prometheus says, as numbers in millionths: the values of an instant query's answer.
///
/// # Errors
/// In words, when the answer is none.
pub fn values(body: &[u8]) -> Result<Vec<Measure>, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("the answer is no JSON: {error}"))?;
    if value["status"] != "success" {
        let said = value["error"].as_str().unwrap_or("the answer says neither success nor why not");
        return Err(said.to_owned());
    }
    let data = &value["data"];
    let samples: Vec<&Value> = match data["resultType"].as_str() {
        Some("vector") => {
            data["result"].as_array().into_iter().flatten().map(|item| &item["value"]).collect()
        }
        Some("scalar") => vec![&data["result"]],
        Some(_) | None => return Err("the query gives no instant vector and no scalar".to_owned()),
    };
    let number = |sample: &Value| sample[1].as_str().and_then(|text| text.parse::<f64>().ok());
    let numbers: Option<Vec<f64>> = samples.into_iter().map(number).collect();
    let numbers = numbers.ok_or("a sample is no number")?;
    #[expect(clippy::cast_possible_truncation, reason = "a cast from a float stops at the bounds")]
    let micro = |number: f64| Measure((number * 1e6).round() as i64);
    Ok(numbers.into_iter().filter(|number| !number.is_nan()).map(micro).collect())
}

#[cfg(test)]
mod tests;
