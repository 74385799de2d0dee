//! From a request's body to what it asks for, through `contract`, with the warnings that go back.

use serde_json::Value;

use crate::api::call::{Api, Call};
use crate::api::path::AppId;
use crate::contract::error::{Missing, Reply};
use crate::contract::fault::{Fault, Options, Problem, Read, Warning};
use crate::contract::{app, json};
use crate::model::app::App;
use crate::model::id::Version;
use crate::model::path::{AppPath, PathError};
use crate::model::spec::Spec;
use crate::model::view::View;

/// The rule of ids, in Marathon's words (contract 13.3).
const ID_RULE: &str = r"must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$'";

/// A body that is JSON.
#[derive(Clone, Debug)]
pub struct Json {
    value: Value,
    /// What was odd about it as a text.
    pub warnings: Vec<Warning>,
    options: Options,
}

/// An item of a batch.
#[derive(Clone, Debug)]
pub enum Item {
    /// A whole app.
    Whole(Box<Spec>),
    /// An update of the app of this id.
    Update(AppPath, app::Update),
}

// === impl Json ===

impl Json {
    /// Reads a call's body.
    ///
    /// # Errors
    /// 400 when it is no JSON.
    pub fn of(api: &Api, call: &Call) -> Result<Json, Reply> {
        let options = api.options(call);
        let read = json::parse(call.bytes(), &options).map_err(|fault| Reply::fault(&fault))?;
        Ok(Json { value: read.value, warnings: read.warnings, options })
    }

    /// A whole app that names itself.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn app(&self) -> Result<Read<Spec>, Reply> {
        told(app::read_app(&self.value, &AppPath::root(), &self.options))
    }

    /// A whole app of this id.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn app_at(&self, path: &AppPath) -> Result<Read<Spec>, Reply> {
        told(app::read_app_at(&self.value, path, &self.options))
    }

    /// A partial update.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn update(&self) -> Result<Read<app::Update>, Reply> {
        told(app::read_update(&self.value, &self.options))
    }

    /// Many apps or updates.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn items(&self, partial: bool) -> Result<Read<Vec<Item>>, Reply> {
        let (value, options) = (&self.value, &self.options);
        if partial {
            let read = told(app::read_updates_array(value, options))?;
            let items = read.value.into_iter().map(|(path, update)| Item::Update(path, update));
            return Ok(Read { value: items.collect(), warnings: read.warnings });
        }
        let read = told(app::read_apps_array(value, options))?;
        let items = read.value.into_iter().map(|spec| Item::Whole(Box::new(spec)));
        Ok(Read { value: items.collect(), warnings: read.warnings })
    }

    /// What `update` makes of a definition.
    ///
    /// # Errors
    /// 422 with every rule that the result breaks.
    pub fn merge(&self, update: &app::AppUpdate, current: &Spec) -> Result<Spec, Reply> {
        told(update.merge(current, &self.options))
    }

    /// The app that `update` makes where there is none.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn create(&self, update: &app::AppUpdate, path: &AppPath) -> Result<Spec, Reply> {
        told(update.create(path, &self.options))
    }
}

/// A list of task ids, each once.
///
/// # Errors
/// 400 when the body is no JSON, 422 when it does not fit.
pub fn task_ids(api: &Api, call: &Call) -> Result<Read<Vec<String>>, Reply> {
    let body = Json::of(api, call)?;
    let value = told(app::read_task_ids(&body.value))?;
    Ok(Read { value, warnings: body.warnings })
}

/// The path of an app that is to be written.
///
/// # Errors
/// 422 when the URL names no valid id.
pub fn path(id: &AppId) -> Result<AppPath, Reply> {
    id.path().map_err(|error| {
        let rule = match error {
            PathError::Segment => ID_RULE.to_owned(),
            PathError::TooLong => error.to_string(),
        };
        Reply::fault(&Fault::Invalid(vec![Problem::new("/id", rule)]))
    })
}

/// The definition that counts for an app.
pub fn current<'a>(view: &'a View, app: &App) -> &'a Spec {
    &view.world.current(app).expect("an app has its definition").spec
}

/// A stored definition of an app, for going back to it.
///
/// # Errors
/// 404 when it has had none of this version.
pub fn stored(view: &View, app: &App, version: Version) -> Result<Spec, Reply> {
    Some(version)
        .filter(|version| *version >= app.visible_from)
        .and_then(|version| view.world.versions.get(&(app.key, version)))
        .map(|row| row.spec.clone())
        .ok_or_else(|| Reply::missing(&Missing::AppToChange(&app.path)))
}

fn told<T>(read: Result<T, Fault>) -> Result<T, Reply> {
    read.map_err(|fault| Reply::fault(&fault))
}
