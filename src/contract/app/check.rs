//! Health checks, plain checks and readiness checks (contract 5.5–5.7), with the rules that one check keeps by itself.

use crate::contract::read::{At, Fields, Reader};
use crate::model::check::{AppCheck, CheckProbe, HealthCheck, HealthProtocol, ReadinessCheck};

const PROTOCOLS: [(&str, HealthProtocol); 7] = [
    ("HTTP", HealthProtocol::Http),
    ("HTTPS", HealthProtocol::Https),
    ("TCP", HealthProtocol::Tcp),
    ("COMMAND", HealthProtocol::Command),
    ("MESOS_HTTP", HealthProtocol::MesosHttp),
    ("MESOS_HTTPS", HealthProtocol::MesosHttps),
    ("MESOS_TCP", HealthProtocol::MesosTcp),
];
const SCHEMES: [(&str, bool); 2] = [("HTTP", false), ("HTTPS", true)];

/// One item of `healthChecks`.
pub fn health_check(reader: &mut Reader<'_>, at: &At<'_>) -> Option<HealthCheck> {
    let mut fields = reader.lenient(at);
    let protocol = fields.opt("protocol", |reader, at| reader.choice(at, &PROTOCOLS));
    let mut check = HealthCheck {
        protocol: protocol.unwrap_or(HealthProtocol::Http),
        path: fields.opt("path", Reader::string),
        port: fields.opt("port", Reader::port),
        port_index: fields.opt("portIndex", Reader::count),
        command: fields.opt("command", command),
        grace_period_seconds: fields.opt("gracePeriodSeconds", Reader::count).unwrap_or(300),
        interval_seconds: fields.opt("intervalSeconds", Reader::count).unwrap_or(60),
        timeout_seconds: fields.opt("timeoutSeconds", Reader::count).unwrap_or(20),
        max_consecutive_failures: fields.opt("maxConsecutiveFailures", Reader::count).unwrap_or(3),
        ignore_http_1xx: fields.opt("ignoreHttp1xx", Reader::flag).unwrap_or(false),
        ipv6: fields.opt("ipProtocol", ip_version).unwrap_or(false),
        delay_seconds: fields.opt("delaySeconds", Reader::count).unwrap_or(15),
    };
    let path = fields.path.clone();
    fields.done();
    keep_to_protocol(reader, &path, &mut check);
    Some(check)
}

/// `check`: exactly one way to ask.
pub fn app_check(reader: &mut Reader<'_>, at: &At<'_>) -> Option<AppCheck> {
    let mut fields = reader.lenient(at);
    let probes = [
        fields.opt("http", http_probe),
        fields.opt("tcp", |reader, at| {
            let mut fields = reader.lenient(at);
            let (port_index, port) = port_of(&mut fields);
            fields.done();
            Some(CheckProbe::Tcp { port_index, port })
        }),
        fields.opt("exec", exec_probe),
    ];
    let interval_seconds = fields.opt("intervalSeconds", Reader::count).unwrap_or(60);
    let timeout_seconds = fields.opt("timeoutSeconds", Reader::count).unwrap_or(20);
    let delay_seconds = fields.opt("delaySeconds", Reader::count).unwrap_or(15);
    let path = fields.path.clone();
    fields.done();
    let mut given = probes.into_iter().flatten();
    let probe = given.next();
    let single = probe.is_some() && given.next().is_none();
    reader.require(single, path, "must define exactly one of http, tcp or exec");
    Some(AppCheck { probe: probe?, interval_seconds, timeout_seconds, delay_seconds })
}

/// One item of `readinessChecks`.
pub fn readiness_check(reader: &mut Reader<'_>, at: &At<'_>) -> Option<ReadinessCheck> {
    let mut fields = reader.lenient(at);
    let codes = fields.opt("httpStatusCodesForReady", |reader, at| {
        let path = &at.path;
        let codes = reader.set(at, |reader, at| reader.int(at, 100, 999))?;
        if codes.is_empty() {
            reader.fault(path, "error.minLength");
        }
        Some(codes.into_iter().filter_map(|code| u16::try_from(code).ok()).collect())
    });
    let text = |default: &str| default.to_owned();
    let path = fields.opt("path", |reader, at| reader.sized(at, 1024));
    let scheme = fields.opt("protocol", |reader, at| reader.choice(at, &SCHEMES));
    let timeout = fields.opt("timeoutSeconds", |reader, at| reader.int(at, 1, i64::from(i32::MAX)));
    let check = ReadinessCheck {
        name: fields.opt("name", Reader::string).unwrap_or_else(|| text("readinessCheck")),
        https: scheme.unwrap_or(false),
        path: path.unwrap_or_else(|| text("/")),
        port_name: fields.opt("portName", Reader::string).unwrap_or_else(|| text("http-api")),
        interval_seconds: fields.opt("intervalSeconds", Reader::count).unwrap_or(30),
        timeout_seconds: timeout.and_then(|value| u32::try_from(value).ok()).unwrap_or(10),
        ready_codes: codes.unwrap_or_else(|| [200].into()),
        preserve_last_response: fields.opt("preserveLastResponse", Reader::flag).unwrap_or(false),
    };
    let path = fields.path.clone();
    fields.done();
    for (member, value) in [("name", &check.name), ("portName", &check.port_name)] {
        reader.require(!value.is_empty(), format!("{path}/{member}"), "must not be empty");
    }
    let (timeout, interval) = (check.timeout_seconds, check.interval_seconds);
    let error = format!("got {timeout}, expected less than {interval}");
    reader.require(timeout < interval, format!("{path}/timeoutSeconds"), error);
    Some(check)
}

/// `{"value": text}`.
fn command(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let mut fields = reader.object(at)?;
    let value = fields.need_plain("value", Reader::string);
    fields.done();
    value
}

fn ip_version(reader: &mut Reader<'_>, at: &At<'_>) -> Option<bool> {
    reader.choice(at, &[("IPv4", false), ("IPv6", true)])
}

/// What Marathon answers with a failed conversion (contract 2.1), told with its place instead. A member that has no
/// meaning for the protocol and hurts nobody is dropped, as Marathon does.
fn keep_to_protocol(reader: &mut Reader<'_>, path: &str, check: &mut HealthCheck) {
    let by_command = check.protocol == HealthProtocol::Command;
    if by_command {
        let place = format!("{path}/command");
        reader.require(check.command.is_some(), place, "a COMMAND health check needs a command");
        let alone = check.path.is_none() && check.port.is_none();
        reader.require(alone, path, "a COMMAND health check has neither path nor port");
        check.port_index = None;
    } else {
        let place = format!("{path}/command");
        reader.require(check.command.is_none(), place, "only a COMMAND health check has a command");
    }
    let by_marathon_http = matches!(check.protocol, HealthProtocol::Http | HealthProtocol::Https);
    check.ignore_http_1xx &= by_marathon_http;
}

fn http_probe(reader: &mut Reader<'_>, at: &At<'_>) -> Option<CheckProbe> {
    let mut fields = reader.lenient(at);
    let (port_index, port) = port_of(&mut fields);
    let path = fields.opt("path", Reader::string);
    let https = fields.opt("scheme", |reader, at| reader.choice(at, &SCHEMES)).unwrap_or(false);
    let place = format!("{}/scheme", fields.path);
    fields.done();
    reader.require(!https, place, "HTTPS is not supported for checks");
    Some(CheckProbe::Http { port_index, port, path })
}

fn port_of(fields: &mut Fields<'_, '_, '_>) -> (Option<u32>, Option<u16>) {
    (fields.opt("portIndex", Reader::count), fields.opt("port", Reader::port))
}

fn exec_probe(reader: &mut Reader<'_>, at: &At<'_>) -> Option<CheckProbe> {
    let mut fields = reader.object(at)?;
    let probe = fields.need_plain("command", shell);
    fields.done();
    probe
}

/// `{"shell": text}`, or `{"argv": […]}`, which even Marathon cannot echo (contract 5.6).
fn shell(reader: &mut Reader<'_>, at: &At<'_>) -> Option<CheckProbe> {
    let mut fields = reader.object(at)?;
    let shell = fields.opt("shell", Reader::string);
    if shell.is_none() {
        let path = format!("{}/argv", fields.path);
        if fields.need("argv", |reader, at| reader.list(at, Reader::string)).is_some() {
            fields.reader.breach(path, "argv is not supported for checks, use shell");
        }
    } else {
        fields.skip(&["argv"]);
    }
    fields.done();
    Some(CheckProbe::Exec { shell: shell.unwrap_or_default() })
}
