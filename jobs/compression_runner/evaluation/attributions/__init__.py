"""Agreement of both models' SHAP attributions."""
