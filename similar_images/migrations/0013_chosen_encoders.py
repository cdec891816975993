from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("similar_images", "0012_calibration"),
    ]

    operations = [
        migrations.AddField(
            model_name="methodversion",
            name="is_chosen",
            field=models.BooleanField(
                default=False,
                help_text="Chosen by a command in place of the setting's, until the choice is undone.",
            ),
        ),
    ]
