"""Who sees what: rulings, the views that share them, masks, row rules and sealed cursors."""
