The app of the recipe.
