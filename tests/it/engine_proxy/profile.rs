//! The engines that are played: those that people have or will have, and that no package gives (engines.md §2).

use super::forward::Api;

/// What an engine is, and how it differs from the one behind the proxy.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a difference of its own")]
pub struct Profile {
    /// As people call it.
    pub name: &'static str,
    /// As it calls itself.
    pub version: &'static str,
    /// The oldest version of the API that it speaks.
    pub floor: Api,
    /// The newest.
    pub newest: Api,
    /// API 1.52: no fields of the container that are its networks', no unset fields of an image, ids by manifest.
    pub lean: bool,
    /// Containers may have 1,024 open files unless they ask for more.
    pub few_files: bool,
    /// It runs without root rights and no control groups were delegated to it.
    pub rootless: bool,
    /// One more field and one more value everywhere.
    pub novel: bool,
}

/// All that are played.
pub const PROFILES: [Profile; 7] = [
    // Nothing is changed: what the others are compared with.
    PLAIN,
    Profile { name: "docker25", version: "25.0.5", newest: Api(44), floor: Api(24), ..PLAIN },
    Profile { name: "docker29.0", version: "29.0.4", floor: Api(44), ..LEAN },
    Profile { name: "docker29.7", version: "29.7.0", newest: Api(53), ..LEAN },
    Profile { name: "rootless29", version: "29.0.4", rootless: true, ..LEAN },
    // An engine of years to come.
    Profile { name: "docker-novel", version: "35.0.0", newest: Api(60), novel: true, ..LEAN },
    // And one that speaks nothing that we know.
    Profile { name: "docker-beyond", version: "40.0.0", floor: Api(60), newest: Api(70), ..LEAN },
];

const PLAIN: Profile = Profile {
    name: "plain",
    version: "",
    floor: Api(12),
    newest: Api(60),
    lean: false,
    few_files: false,
    rootless: false,
    novel: false,
};

const LEAN: Profile =
    Profile { floor: Api(40), newest: Api(52), lean: true, few_files: true, ..PLAIN };

// === impl Profile ===

impl Profile {
    /// The one of this name.
    pub fn named(name: &str) -> Profile {
        let found = PROFILES.into_iter().find(|profile| profile.name == name);
        found.unwrap_or_else(|| panic!("there is no profile {name}"))
    }
}
