//! What a caller may see: the one place where rights narrow lists, queue, tasks and deployments.
//!
//! Every read of an app goes through a scope. Until there is authentication everybody sees everything.

use crate::api::path::AppId;
use crate::api::reply;
use crate::contract::error::Reply;
use crate::control::events::Filter;
use crate::model::app::App;
use crate::model::path::AppPath;
use crate::model::view::View;

/// What a caller may see.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All there is.
    Everything,
}

// === impl Scope ===

impl Scope {
    /// Whether an app of this id is shown.
    pub const fn sees(&self, _path: &AppPath) -> bool {
        match self {
            Scope::Everything => true,
        }
    }

    /// The app of this id, unless it is hidden.
    pub fn app<'a>(&self, view: &'a View, path: &AppPath) -> Option<&'a App> {
        view.world.app(path).filter(|app| self.sees(&app.path))
    }

    /// The app that a URL names.
    ///
    /// # Errors
    /// 404 as a resource says it, when there is none.
    pub fn find<'a>(&self, view: &'a View, id: &AppId) -> Result<&'a App, Reply> {
        let path = id.path().ok();
        let app = path.and_then(|path| self.app(view, &path));
        app.ok_or_else(|| reply::not_found(&format!("App '{}' does not exist", id.text())))
    }

    /// Events as far as they are shown. Rights will narrow what the caller asks for here.
    pub fn events(&self, asked: Filter) -> Filter {
        match self {
            Scope::Everything => asked,
        }
    }

    /// All apps that are shown.
    pub fn apps<'a>(&'a self, view: &'a View) -> impl Iterator<Item = &'a App> {
        view.world.live_apps().filter(|app| self.sees(&app.path))
    }

    /// All apps within a group, in the order of their ids. The root always is a group, another is while it has an app.
    ///
    /// # Errors
    /// 404 when there is no such group.
    pub fn below<'a>(&self, view: &'a View, group: &AppId) -> Result<Vec<&'a App>, Reply> {
        let missing = || reply::not_found(&format!("Group '{}' does not exist", group.text()));
        let group = group.path().map_err(|_| missing())?;
        let from = view.world.paths.range(group.clone()..);
        let within: Vec<&App> = from
            .take_while(|(path, _)| path.as_str().starts_with(group.as_str()))
            .filter(|(path, _)| path.is_within(&group) && **path != group && self.sees(path))
            .filter_map(|(path, _)| view.world.app(path))
            .collect();
        if within.is_empty() && !group.is_root() { Err(missing()) } else { Ok(within) }
    }
}
