//! The routes as a table: registered from it, and read by whoever wants to know what each asks for.

use std::rc::Rc;

use actix_web::{
    HttpRequest, Resource, Route,
    body::BoxBody,
    dev::ServiceRequest,
    guard::fn_guard,
    http::Method,
    middleware::{Next, from_fn},
    web::{self, ServiceConfig},
};

use super::forward;
use crate::{
    access::{Access, guard},
    error::Problem,
};

/// Paths with their methods.
#[derive(Default)]
pub struct Table(Vec<Path>);

struct Path {
    path: &'static str,
    about_person: bool,
    methods: Vec<(Method, Access, Route)>,
}

impl Table {
    /// Adds a path; no method comes without saying who may use it.
    pub fn add<const N: usize>(
        &mut self,
        path: &'static str,
        about_person: bool,
        methods: [(Method, Access, Route); N],
    ) {
        self.0.push(Path { path, about_person, methods: methods.into() });
    }

    /// What each method of each path asks for.
    pub fn declared(&self) -> Vec<(&'static str, Method, Access)> {
        let of = |path: &Path| path.methods.iter().map(|(m, access, _)| (m.clone(), *access)).collect::<Vec<_>>();
        self.0.iter().flat_map(|path| of(path).into_iter().map(|(m, access)| (path.path, m, access))).collect()
    }

    /// Has the server answer all of it.
    pub fn register(self, web: &mut ServiceConfig) {
        for Path { path, about_person, methods } in self.0 {
            let declared: guard::Declared = methods.iter().map(|(m, access, _)| (m.clone(), *access)).collect();
            let guard = from_fn(move |request: ServiceRequest, next: Next<BoxBody>| {
                guard::guard(Rc::clone(&declared), request, next)
            });
            let resource = resource(path, methods);
            // What is wrapped last sees a request first: nothing is passed on that is not let in.
            match about_person {
                true => web.service(resource.wrap(from_fn(forward::to_home)).wrap(guard)),
                false => web.service(resource.wrap(guard)),
            };
        }
    }
}

/// A path with its methods; any other method is refused with the list of them.
fn resource(path: &str, methods: Vec<(Method, Access, Route)>) -> Resource {
    let names: Vec<&str> = methods.iter().map(|(method, ..)| method.as_str()).collect();
    let allow = names.join(", ");
    let mut resource = web::resource(path);
    for (method, _, route) in methods {
        resource = resource.route(route.guard(fn_guard(move |context| context.head().method == method)));
    }
    resource.default_service(web::to(move |request: HttpRequest| {
        let problem = Problem::method(request.method().as_str(), allow.clone());
        async move { Err::<String, _>(problem) }
    }))
}
