//! The bytes that logs of schema 1 hold, so that a changed row type cannot pass for the old one. When a test here fails,
//! the type needs a new schema number, and its old shape a reader.

use crate::model::condition::Condition;
use crate::model::id::{Epoch, Position};
use crate::model::row::{Key, Write};
use crate::store::codec::{encode, row};
use crate::store::record::SCHEMA;
use crate::store::testing::{commit_of, every_end, every_event, every_row};

const META: &str = "10000000000000000000000000000000c1ac0202f0a204018080f4f6905d000000";
const AGENT: &str = concat!(
    "0110000000000000000000000000000000a110000000000000000000000000000000b0018080f4f6905d018080",
    "f4f6905d018080f4f6905d04686f73740001047261636b01b717012a8092f4018080a4e803000198f20180fa01",
    "0103677075016d0000010100000000000000000001903f056e67696e788080f4f6905d",
);
const APP_VERSION: &str = concat!(
    r#"{"spec":{"path":"/shop/app-1","instances":2,"containers":[{"name":"_app","cmd":"sleep 1",""#,
    r#"args":[],"user":null,"env":{},"cpus":100000,"mem":32000000,"disk":0,"gpus":0,"limits":null"#,
    r#","fetch":[],"sandbox":null,"tty":null}],"networks":[{"mode":"Host","name":null,"labels":{}"#,
    r#"}],"port_definitions":[],"require_ports":false,"constraints":[],"accepted_roles":null,"rol"#,
    r#"e":"*","backoff":{"seconds":1,"factor":1150000,"max_seconds":300},"upgrade":{"minimum_heal"#,
    r#"th":1000000,"over_capacity":1000000},"kill_selection":"YoungestFirst","kill_grace_seconds""#,
    r#":null,"unreachable":"Disabled","dependencies":[],"labels":{},"health_checks":[],"check":nu"#,
    r#"ll,"readiness_checks":[],"secrets":{},"executor":"","executor_resources":null,"restart":"A"#,
    r#"lways","priority":0,"failure":{"deadline_seconds":null,"max_failures":null,"on_failure":nu"#,
    r#"ll},"drain_seconds":null},"version":1600000000000,"last_scaling_at":1600000000000,"last_co"#,
    r#"nfig_change_at":1600000000000,"config":1600000000000}"#,
);
const APP: &str = concat!(
    "010b2f73686f702f6170702d318080f4f6905d008080f4f6905d0110000000000000000000000000000000d001",
    "020100018080f4f6905d018080f4f6905de8078080f4f6905de0a7120003018080f4f6905d018080f4f6905d00",
    "01018080f4f6905d00",
);
const DEPLOYMENT: &str = concat!(
    "10000000000000000000000000000000d08080f4f6905d01020100018080f4f6905d0001d804010301028080f4",
    "f6905d0401018080f4f6905d0834206661696c6564",
);
const OUTCOME: &str = concat!(
    "10000000000000000000000000000000d08080f4f6905d8080f4f6905d8080f4f6905d00040201018080f4f690",
    "5d0834206661696c656410000000000000000000000000000000d001020b2f73686f702f6170702d3100",
);
const INSTANCE: &str = concat!(
    "01021000000000000000000000000000e000028080f4f6905d8080f4f6905d0001000101020198f2010000a08d",
    "068090a10f0001047261636b01027231011e0001045f617070038080f4f6905d8080f4f6905d018080f4f6905d",
    "01000a00000101043437313100010101018080f4f6905d018080f4f6905d000001077265667573656401010101",
    "c801017401620100c80100008080f4f6905d07",
);
const DEPLOY: &str = concat!(
    "10000000000000000000000000000000f00b2f73686f702f6170702d310202010100c0843de0d4030108687474",
    "703a2f2f700275700001138827c0cf2400010202010201010b2f73686f702f6170702d318080f4f6905d011000",
    "0000000000000000000000000000d00201020b2f73686f702f6170702d328080f4f6905d011000000000000000",
    "0000000000000000d08080f4f6905d000001018080f4f6905d010002040100026e6f0301028080f4f6905d8080",
    "f4f6905d8080f4f6905d8080f4f6905d",
);
const AUTOPSY: &str = concat!(
    "01040210000000000000000000000000000000e0045f617070038080f4f6905d01100000000000000000000000",
    "00000000d001010110000000000000000000000000000000a104686f73748080f4f6905d018080f4f6905d0801",
    "072f6865616c746803026e6f026e6f01020180c8d007",
);
const KEYS: &str = concat!(
    "0900010102018080f4f6905d03010410000000000000000000000000000000d0058080f4f6905d100000000000",
    "00000000000000000000d00601020701040810000000000000000000000000000000f0",
);
const EVENTS: &str = concat!(
    "15000831302e302e302e39082f76322f61707073010b2f73686f702f6170702d318080f4f6905d010200914e01",
    "0b2f73686f702f6170702d318080f4f6905d020b2f73686f702f6170702d318080f4f6905d026e6f0310000000",
    "000000000000000000000000d08080f4f6905d0101030b2f73686f702f6170702d310104100000000000000000",
    "00000000000000d08080f4f6905d0101030b2f73686f702f6170702d3101051000000000000000000000000000",
    "0000d08080f4f6905d0101030b2f73686f702f6170702d310610000000000000000000000000000000d08080f4",
    "f6905d0101030b2f73686f702f6170702d31026e6f0710000000000000000000000000000000d08080f4f6905d",
    "0101030b2f73686f702f6170702d3100080b2f73686f702f6170702d31091000000000000000000000000000e0",
    "0002045f617070010b2f73686f702f6170702d318080f4f6905d0905656e646564011000000000000000000000",
    "0000000000a104686f73740101fe8000000000000000000000000000010198f2010a1000000000000000000000",
    "000000e000020b2f73686f702f6170702d318080f4f6905d01030110000000000000000000000000000000a104",
    "686f73740b1000000000000000000000000000e000020b2f73686f702f6170702d318080f4f6905d01000c1000",
    "000000000000000000000000e000020b2f73686f702f6170702d310001012f00010000ac023c140300000f0d10",
    "00000000000000000000000000e000020b2f73686f702f6170702d318080f4f6905d010e100000000000000000",
    "0000000000e00002045f617070010b2f73686f702f6170702d318080f4f6905d026e6f01100000000000000000",
    "00000000000000a104686f73740f0b2f73686f702f6170702d3101040a101000000000000000000000000000e0",
    "00020b2f73686f702f6170702d310b1110000000000000000000000000000000a104686f737402121000000000",
    "0000000000000000000000a104686f73741303081401",
);
const CONDITIONS: &str = "000102030405060708090a0b0c0d";
const ENDS: &str = concat!(
    "1f000101120201c0843d0300030103020174010174030301740001017401017401740304010203030501020303",
    "060102030307010203010174010174030801020309010174030a010174030b0174030c0174030d01740174030e",
    "01740174030f017403100174031102e80703120174031301031401740001017403140174010101740314017402",
    "01740314017403017401740314017404017401740315017403160101740101740400",
);
const RECORD: &str = concat!(
    "0100745bf6ae0200000000000000030000000000000003806e8774010000000001000000010d080b2f73686f70",
    "2f6170702d33",
);

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes all");
        text
    })
}

fn packed<T: serde::Serialize>(value: &T) -> String {
    hex(&postcard::to_stdvec(value).expect("it knows its lengths"))
}

#[test]
fn rows() {
    let expected = [META, AGENT, APP_VERSION, APP, DEPLOYMENT, OUTCOME, INSTANCE, AUTOPSY, DEPLOY];
    for ((key, row), expected) in every_row().into_iter().zip(expected) {
        let bytes = row::encode(&row);
        let found = match key {
            Key::AppVersion(..) => String::from_utf8(bytes.clone()).expect("JSON is text"),
            Key::Meta
            | Key::Agent(_)
            | Key::App(_)
            | Key::Deployment(_)
            | Key::Outcome(_)
            | Key::Instance(_)
            | Key::Autopsy(_)
            | Key::Deploy(_) => hex(&bytes),
        };
        assert_eq!(found, expected, "{key:?}");
        assert_eq!(row::decode(&key, &bytes).expect("it is read"), row);
    }
}

#[test]
fn keys() {
    let keys: Vec<_> = every_row().into_iter().map(|(key, _)| key).collect();
    assert_eq!(packed(&keys), KEYS);
}

#[test]
fn events() {
    for event in every_event() {
        assert_eq!(row::decode_event(&row::encode_event(&event)).expect("it is read"), event);
    }
    assert_eq!(packed(&every_event()), EVENTS);
}

#[test]
fn conditions_ends_and_reasons() {
    assert_eq!(packed(&Condition::ALL), CONDITIONS);
    assert_eq!(packed(&every_end()), ENDS);
}

#[test]
fn a_record() {
    let small = commit_of(3, vec![Write { key: Key::Meta, row: None }]);
    let records = encode(&small, Epoch(2), Position(10)).expect("small rows");
    assert_eq!(hex(&records[0].bytes), RECORD);
    assert_eq!(SCHEMA, 1);
}
