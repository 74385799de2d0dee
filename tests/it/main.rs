//! Stayer from outside: the real binary, real HTTP, real processes, real Docker.
//!
//! One binary, so that everything is linked once. Each test has a server of its own with a data directory of its own, and
//! waits for conditions, never for time.

#![expect(
    clippy::disallowed_methods,
    reason = "a test reads the time to give up, and the environment of the machine it runs on"
)]

mod rig;

mod cluster;
mod docker_rig;
mod engine_proxy;
#[path = "../../src/store/etcd/rig.rs"]
mod etcd_rig;
mod nvml;
mod proc;
mod registry;
mod service;
mod web;

mod agents;
mod autopsy;
mod cancel;
mod changes;
mod constraints;
mod deploys;
mod docker;
mod doctor;
mod drained;
mod engine;
mod engine_faults;
mod engine_profiles;
mod environment;
mod etcd;
mod events;
mod failures;
mod faults;
mod first_curl;
mod fleet;
mod gpu_real;
mod gpus;
mod health;
mod image;
mod kills;
mod launch_sh;
mod lists;
mod load;
mod locks;
mod logs;
mod many;
mod outcomes;
mod outlive;
mod pipelines;
mod ports;
mod queue;
mod rollout;
mod sandbox;
mod scale;
mod seeds;
mod twenty;
mod upgrade;
mod verbs;
