//! The versions of an app (contract 3.4). One version by itself is the App object, see [`definition`].
//!
//! Marathon leaves the order open; here the newest comes first, so that the second is the one to go back to.
//!
//! [`definition`]: crate::contract::show::app::definition

use crate::contract::show::text;
use crate::model::app::App;
use crate::model::id::Version;

/// The versions that users may see, newest first.
pub fn visible(app: &App) -> impl Iterator<Item = Version> {
    let priors = app.priors.iter().rev().copied();
    std::iter::once(app.version).chain(priors).filter(|version| *version >= app.visible_from)
}

/// `{"versions":[…]}`.
pub fn versions(app: &App) -> String {
    text::object_text(|object| {
        object.texts("versions", visible(app).map(|version| version.to_string()));
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::show::rig::{Rig, at};

    #[test]
    fn versions_from_before_a_removal_are_hidden() {
        let mut app = Rig::new().app().clone();
        app.priors = vec![Version(at(-3_000)), Version(at(-2_000)), Version(at(-1_000))];
        app.visible_from = Version(at(-2_000));
        assert_eq!(
            versions(&app),
            r#"{"versions":["2021-07-01T10:00:00.123Z","2021-07-01T09:59:59.000Z","2021-07-01T09:59:58.000Z"]}"#
        );
    }
}
