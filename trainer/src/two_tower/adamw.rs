//! AdamW (Loshchilov and Hutter, *Decoupled Weight Decay Regularization*, 2019).

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// One optimiser step: learning rate, weight decay and the bias corrections of step `t` (from 1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    rate: f32,
    decay: f32,
    correction1: f32,
    correction2: f32,
}

impl Step {
    /// Step `t` (from 1) at learning rate `rate` with weight decay `decay`.
    pub(crate) fn new(t: usize, rate: f32, decay: f32) -> Self {
        let correction = |beta: f32| 1.0 / (1.0 - f64::from(beta).powi(t.min(i32::MAX as usize) as i32)) as f32;
        Self { rate, decay: 1.0 - rate * decay, correction1: correction(BETA1), correction2: correction(BETA2) }
    }

    /// Moves `weights` against `grad`, which is set to zero for the next step.
    fn apply(self, weights: &mut [f32], grad: &mut [f32], first: &mut [f32], second: &mut [f32]) {
        let moments = first.iter_mut().zip(second);
        for ((w, g), (m, v)) in weights.iter_mut().zip(grad).zip(moments) {
            *m = BETA1 * *m + (1.0 - BETA1) * *g;
            *v = BETA2 * *v + (1.0 - BETA2) * *g * *g;
            let direction = *m * self.correction1 / ((*v * self.correction2).sqrt() + EPSILON);
            *w = *w * self.decay - self.rate * direction;
            *g = 0.0;
        }
    }
}

/// A dense parameter with its gradient and moments.
#[derive(Debug, Clone)]
pub(crate) struct Param {
    pub(crate) weights: Vec<f32>,
    pub(crate) grad: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Param {
    /// Starts from `weights`.
    pub(crate) fn new(weights: Vec<f32>) -> Self {
        let zeros = vec![0.0; weights.len()];
        Self { weights, grad: zeros.clone(), first: zeros.clone(), second: zeros }
    }

    /// Takes one step and clears the gradient.
    pub(crate) fn step(&mut self, step: Step) {
        step.apply(&mut self.weights, &mut self.grad, &mut self.first, &mut self.second);
    }
}

/// An embedding table. Only the rows that got a gradient are moved and cleared, so a step costs as much as it touches.
/// Row 0 stays zero: "none or unknown".
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) param: Param,
    width: usize,
    touched: Vec<u32>,
    is_touched: Vec<bool>,
}

impl Table {
    /// A table of rows of `width` values; row 0 is set to zero.
    pub(crate) fn new(mut weights: Vec<f32>, width: usize) -> Self {
        weights[..width].fill(0.0);
        let rows = weights.len() / width;
        Self { param: Param::new(weights), width, touched: Vec::new(), is_touched: vec![false; rows] }
    }

    /// The vector of bucket `id`.
    pub(crate) fn row(&self, id: usize) -> &[f32] {
        &self.param.weights[id * self.width..(id + 1) * self.width]
    }

    /// Adds to the gradient of bucket `id`; bucket 0 has none.
    pub(crate) fn add_grad(&mut self, id: usize, grad: &[f32]) {
        if id == 0 {
            return;
        }
        if !self.is_touched[id] {
            self.is_touched[id] = true;
            self.touched.push(id as u32);
        }
        let row = &mut self.param.grad[id * self.width..(id + 1) * self.width];
        row.iter_mut().zip(grad).for_each(|(r, g)| *r += g);
    }

    /// Takes one step with the touched rows.
    pub(crate) fn step(&mut self, step: Step) {
        for &id in &self.touched {
            let at = id as usize * self.width..(id as usize + 1) * self.width;
            let p = &mut self.param;
            step.apply(
                &mut p.weights[at.clone()],
                &mut p.grad[at.clone()],
                &mut p.first[at.clone()],
                &mut p.second[at],
            );
            self.is_touched[id as usize] = false;
        }
        self.touched.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_has_the_size_of_the_learning_rate() {
        let mut p = Param::new(vec![1.0, -1.0]);
        p.grad = vec![0.3, -20.0];
        p.step(Step::new(1, 0.1, 0.0));
        assert!((p.weights[0] - 0.9).abs() < 1e-5 && (p.weights[1] + 0.9).abs() < 1e-5, "{:?}", p.weights);
        assert_eq!(p.grad, [0.0, 0.0]);
    }

    #[test]
    fn only_touched_rows_move_and_row_zero_never() {
        let mut t = Table::new(vec![1.0; 6], 2);
        t.add_grad(0, &[1.0, 1.0]);
        t.add_grad(2, &[1.0, 1.0]);
        t.step(Step::new(1, 0.1, 0.0));
        assert_eq!((t.row(0), t.row(1)), ([0.0, 0.0].as_slice(), [1.0, 1.0].as_slice()));
        assert!(t.row(2)[0] < 1.0 && t.touched.is_empty());
    }
}
