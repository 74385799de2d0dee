//! From a request's body to what it asks for, through `contract`, with the warnings that go back.

use serde_json::Value;

use crate::api::call::{Api, Call};
use crate::api::path::AppId;
use crate::contract::error::{Missing, Reply};
use crate::contract::fault::{Fault, Options, Problem, Read, Warning};
use crate::contract::{app, deploy, json};
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

    /// Whether the body of an app asks for a deploy.
    pub fn asks_for_deploy(&self) -> bool {
        self.value.get(deploy::MEMBER).is_some_and(|asked| !asked.is_null())
    }

    /// A deploy with its app.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn deploy(&self) -> Result<(deploy::Asked, Read<Spec>), Reply> {
        told(deploy::read(&self.value, &self.options, |app| self.whole(app)))
    }

    /// An app that names itself, with the deploy that it asks for.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn deploy_of_app(&self) -> Result<(deploy::Asked, Read<Spec>), Reply> {
        told(deploy::read_within(&self.value, &self.options, |app| self.whole(app)))
    }

    /// The app of this id, merged into what there is of it, with the deploy that it asks for.
    ///
    /// # Errors
    /// 422 with every fault.
    pub fn deploy_at(
        &self,
        path: &AppPath,
        current: Option<(&View, &App)>,
    ) -> Result<(deploy::Asked, Read<Spec>), Reply> {
        let options = &self.options;
        told(deploy::read_within(&self.value, options, |value| {
            let Some((view, app)) = current else { return app::read_app_at(value, path, options) };
            let read = app::read_update(value, options)?;
            let spec = match &read.value {
                app::Update::Change(update) => update.merge(self::current(view, app), options)?,
                app::Update::Rollback(at) => stored_spec(view, app, Version(*at))
                    .ok_or_else(|| Fault::Illegal(format!("{path} has no version {at}")))?,
            };
            Ok(Read { value: spec, warnings: read.warnings })
        }))
    }

    fn whole(&self, value: &Value) -> Result<Read<Spec>, Fault> {
        app::read_app(value, &AppPath::root(), &self.options)
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
    stored_spec(view, app, version).ok_or_else(|| Reply::missing(&Missing::AppToChange(&app.path)))
}

fn stored_spec(view: &View, app: &App, version: Version) -> Option<Spec> {
    Some(version)
        .filter(|version| *version >= app.visible_from)
        .and_then(|version| view.world.versions.get(&(app.key, version)))
        .map(|row| row.spec.clone())
}

fn told<T>(read: Result<T, Fault>) -> Result<T, Reply> {
    read.map_err(|fault| Reply::fault(&fault))
}
